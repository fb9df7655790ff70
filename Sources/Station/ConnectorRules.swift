import Charging

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
    /// `MaxEnergyOnInvalidId`: what a refused token may still draw where it does not stop the charge.
    package var maximumEnergyOnInvalidToken = WattHours.zero
    /// Where energy is free: a charge starts by plugging in, under this token.
    package var freeVend: FreeVend?
    package var schedule = OfferSchedule.always
    package var afterPowerLoss = AfterPowerLoss.close
    /// Of the supply, phase to neutral; what counts as too much or too little is a part of it.
    package var nominalMillivolts: Int64 = 230_000
    /// A car that sleeps in B while current is offered is shown X1 once, so that it wakes up.
    package var wakesCar = false
    /// How long it may sleep before that.
    package var wakeAfterMilliseconds: Int64 = 30_000

    package struct FreeVend: Hashable, Sendable {
        package var token: String
        package var limits: ChargeLimits

        package init(token: String, limits: ChargeLimits = .none) {
            self.token = token
            self.limits = limits
        }
    }

    /// What becomes of a charge that was open when the program or the power ended.
    package enum AfterPowerLoss: Hashable, Sendable {
        case close
        /// It goes on if the car is still there, unless the outage was longer.
        case resume(withinSeconds: Int64)
    }

    package init() {}
}
