/**
 * aedes gives each client a parser of its own, with a buffer list that is a stream: two kilobytes. Its
 * control frames arrive whole and one at a time here, so one parser serves all clients.
 */
import mqtt from 'mqtt-packet'

// Its table of 65,536 two-byte buffers costs seven megabytes and saves nothing that is used here.
mqtt.writeToStream.cacheNumbers = false

type Enqueue = (this: ClientParser, packet: mqtt.Packet) => void

/** Takes the place of a client's `_parser`. */
export class ClientParser {
  readonly client: { emit(event: 'error', error: Error): boolean }
  /** Packets that aedes puts aside until its client is connected. */
  _queue: mqtt.Packet[] | null = []
  readonly #shared: SharedParser
  readonly #enqueue: Enqueue

  constructor(client: ClientParser['client'], shared: SharedParser, enqueue: Enqueue) {
    this.client = client
    this.#shared = shared
    this.#enqueue = enqueue
  }

  parse(frame: Buffer): void {
    this.#shared.parse(frame, this)
  }

  take(packet: mqtt.Packet): void {
    this.#enqueue(packet)
  }

  emit(_event: 'error', error: Error): void {
    this.client.emit('error', error)
  }

  removeAllListeners(): void {
    // The shared parser has no listeners of this client.
  }
}

export class SharedParser {
  #parser = this.#create()
  #current: ClientParser | undefined

  parse(frame: Buffer, parser: ClientParser): void {
    this.#current = parser
    this.#parser.parse(frame)
    this.#current = undefined
  }

  #create(): mqtt.Parser {
    const parser = mqtt.parser()
    parser.on('packet', (packet: mqtt.Packet) => this.#current?.take(packet))
    parser.on('error', (error: Error) => {
      // A parser that has failed is of no more use; the frame was another client's.
      this.#parser = this.#create()
      this.#current?.emit('error', error)
    })
    return parser
  }
}
