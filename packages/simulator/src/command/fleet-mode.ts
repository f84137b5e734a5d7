/** What the devices of a fleet do. */
export type FleetMode = 'connect' | 'pub' | 'sub' | 'pubsub'
