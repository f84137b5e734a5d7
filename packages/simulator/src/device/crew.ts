/** Turns a plan into devices with their publishers and subscribers, and the drive that moves them. */
import { AcknowledgementBatch } from './acknowledgement-batch.ts'
import { CreditWindow } from './credit-window.ts'
import { Device, type DeviceContext } from './device.ts'
import { Dialer } from './dialer.ts'
import { PacedDrive, SaturatedDrive, type Drive } from '../load/drive.ts'
import { ExpectedLedger, OpenLedger } from '../measure/ledger.ts'
import type { Meter } from '../measure/meter.ts'
import type { FleetOptions } from '../command/options.ts'
import { createPayload } from './payload.ts'
import { Publisher, PumpQueue, type CreditSource, type PublisherDrive } from './publisher.ts'
import { seededRandom } from '../load/random.ts'
import {
  runName,
  type FleetPlan,
  type PublisherPlan,
  type SubscriberPlan,
} from '../scenario/plan.ts'
import { Schedule } from '../load/schedule.ts'
import { Subscriber } from './subscriber.ts'
import { renderTemplate } from '../command/template.ts'

const READ_BUFFER_BYTES = 65_536

export interface Crew {
  readonly devices: readonly Device[]
  readonly publishers: readonly Publisher[]
  /** Absent where nothing is published. */
  readonly drive: Drive | undefined
}

const creditSource = (options: FleetOptions): CreditSource =>
  options.command === 'pubsub' ? 'delivery' : options.qos > 0 ? 'acknowledgement' : 'write'

const createPublishers = (
  options: FleetOptions,
  plan: FleetPlan,
  meter: Meter,
  schedule: Schedule | undefined,
): Publisher[] => {
  const random = seededRandom(options.seed)
  const { qos, retain, inflight, payloadBytes: bytes, runId } = options
  const places: PublisherPlan[] = plan.devices.flatMap((device) => device.publishes ?? [])
  return places.map(({ publisher: index, topic }) => {
    const payload = createPayload({ bytes, runId, publisher: index, random })
    const drive: PublisherDrive =
      schedule === undefined
        ? {
            window: new CreditWindow(options.window, Math.max(1, plan.receivers)),
            creditSource: creditSource(options),
          }
        : { schedule }
    return new Publisher({ index, topic, payload, qos, retain, inflight, meter, drive })
  })
}

const createSubscriber = (
  options: FleetOptions,
  plan: SubscriberPlan,
  shared: { readonly meter: Meter; readonly pumps: PumpQueue },
  credited: readonly Publisher[] | undefined,
): Subscriber => {
  const { expects, filter } = plan
  const own = expects !== undefined
  return new Subscriber({
    ...shared,
    filter,
    ledger: own ? new ExpectedLedger(expects.first, expects.count) : new OpenLedger(),
    runId: own ? options.runId : undefined,
    payloadBytes: own ? options.payloadBytes : undefined,
    credited,
  })
}

/** Builds everything that a plan names; no socket is opened yet. */
export const assembleCrew = (
  options: FleetOptions,
  plan: FleetPlan,
  meter: Meter,
  events: Pick<DeviceContext, 'onReady' | 'onClosed'>,
): Crew => {
  const publishes = plan.publishers > 0
  const schedule =
    !publishes || options.saturate
      ? undefined
      : new Schedule({
          sources: plan.publishers,
          ratePerSecond: options.rate ?? plan.publishers,
          random: seededRandom(options.seed),
        })
  const pumps = new PumpQueue()
  const publishers = createPublishers(options, plan, meter, schedule)
  const credited = options.saturate ? publishers : undefined
  const context: DeviceContext = {
    dialer: new Dialer(options),
    meter,
    pumps,
    acknowledgements: new AcknowledgementBatch(),
    readBuffer: Buffer.allocUnsafeSlow(READ_BUFFER_BYTES),
    ...events,
  }
  const run = runName(options)
  const { username, password, clean, keepAliveS, qos } = options
  const devices = plan.devices.map(({ clientId, publishes, subscribes }, index) => {
    const names = { i: index, run, id: clientId }
    return new Device(
      {
        index,
        clientId,
        username: username === undefined ? undefined : renderTemplate(username, names),
        password,
        clean,
        keepAliveS,
        qos,
        publisher: publishes === undefined ? undefined : publishers[publishes.publisher],
        subscriber:
          subscribes === undefined
            ? undefined
            : createSubscriber(options, subscribes, { meter, pumps }, credited),
      },
      context,
    )
  })
  if (!publishes) return { devices, publishers, drive: undefined }
  const drive =
    schedule === undefined
      ? new SaturatedDrive(publishers, meter)
      : new PacedDrive(publishers, schedule)
  return { devices, publishers, drive }
}
