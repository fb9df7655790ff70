import Charging

/// What a person says a session should have been. What is nil stays as it was reported.
package struct Correction: Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        /// Billed anew with these figures.
        case figures(Figures)
        /// Nothing is owed: what was billed is taken back.
        case void
    }

    package struct Figures: Hashable, Sendable {
        /// The lifetime register at the start and at the end.
        package var meterStart: WattHours?
        package var meterStop: WattHours?
        package var startedAt: Timestamp?
        package var endedAt: Timestamp?

        package init(
            meterStart: WattHours? = nil, meterStop: WattHours? = nil, startedAt: Timestamp? = nil,
            endedAt: Timestamp? = nil
        ) {
            self.meterStart = meterStart
            self.meterStop = meterStop
            self.startedAt = startedAt
            self.endedAt = endedAt
        }
    }

    package var kind: Kind
    /// Who says so, and why: both stay with the bill's history.
    package var by: String
    package var reason: String

    package init(_ kind: Kind, by: String, reason: String) {
        self.kind = kind
        self.by = by
        self.reason = reason
    }
}

/// Why a correction changed nothing.
package enum CorrectionRefusal: Error, Hashable, Sendable {
    case unknownSession
    /// It has no end yet; stop it first.
    case stillRunning
    case stopBelowStart
    case endBeforeStart
    case endInFuture
    /// More than one charge can come to.
    case tooMuch(WattHours)
    /// The figures are those it has.
    case nothingChanges
    /// A bill has had as many corrections as its number can tell.
    case tooMany
    /// Its readings went by their age, so nothing can be counted again; it can be voided.
    case readingsGone
}

/// What a correction came to.
package struct CorrectedBill: Hashable, Sendable {
    package var session: Session
    /// The bill that took the former one back; nil when there was none.
    package var credit: String?
    /// The new bill; nil when nothing is owed.
    package var bill: String?
}
