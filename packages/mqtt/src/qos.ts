/** Quality of service of MQTT: at most once, at least once, exactly once. */
export type QoS = 0 | 1 | 2
