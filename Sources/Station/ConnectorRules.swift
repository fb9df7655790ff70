/// What the operator may set about a connector's behaviour; the defaults are OCPP 1.6 §9's.
package struct ConnectorRules: Hashable, Sendable {
    /// `ConnectionTimeOut`: how long a granted token waits for a plug.
    package var connectionTimeoutMilliseconds: Int64 = 60_000
    /// `MeterValueSampleInterval`; 0 takes no periodic samples.
    package var sampleIntervalMilliseconds: Int64 = 60_000
    /// `MinimumStatusDuration`.
    package var minimumStatusMilliseconds: Int64 = 0
    package var stopsOnDisconnect = true
    /// `StopTransactionOnInvalidId`; false pauses instead.
    package var stopsOnInvalidToken = true
    package var unlocksOnDisconnect = true

    package init() {}
}
