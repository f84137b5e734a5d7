/**
 * Control: who connects and what they subscribe to. The only folder that knows aedes.
 *
 * In: validated CONNECT, SUBSCRIBE and UNSUBSCRIBE frames. Out: sessions, filters for the tables, and CONNACK,
 * SUBACK, UNSUBACK. Bounds: one control packet under way per connection.
 */
import { randomUUID } from 'node:crypto'
import type { EventEmitter } from 'node:events'
import type { Connection } from '../connection/connection.ts'
import type { ConnectFrame } from '@breakwater/mqtt'
import { AedesBroker, type ControlClient } from './aedes-broker.ts'
import { AedesPersistence } from './aedes-persistence.ts'
import { ClientControl, type ControlHost } from './client-control.ts'

export class ControlPlane implements AsyncDisposable {
  readonly #broker: AedesBroker
  readonly #host: ControlHost

  private constructor(broker: AedesBroker, host: ControlHost) {
    this.#broker = broker
    this.#host = host
  }

  static async create(host: ControlHost): Promise<ControlPlane> {
    const control = (client: ControlClient): ClientControl => client.conn.owner as ClientControl
    const broker = new AedesBroker(new AedesPersistence(), {
      authenticate: (client) => control(client).authenticate(),
    })
    // Its types leave out that it has errors.
    const emitter: EventEmitter = broker
    emitter.on('error', (error: unknown) => host.unexpected('aedes', error))
    await broker.listen()
    return new ControlPlane(broker, host)
  }

  /** Takes a connection that sent a valid CONNECT. */
  connect(connection: Connection, frame: ConnectFrame): ClientControl {
    // [MQTT-3.1.3-6]: a client without an id is given one.
    const clientId = frame.clientId === '' ? `auto-${randomUUID()}` : frame.clientId
    connection.clientId = clientId
    return new ClientControl(connection, { ...frame, clientId }, this.#host, (stream) => {
      return this.#broker.accept(stream)
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => this.#broker.close(resolve))
  }
}
