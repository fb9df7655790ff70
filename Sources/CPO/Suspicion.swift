import Charging

/// Something that looks wrong and may cost money: stored, shown, answered as if all were well.
package struct Suspicion: Hashable, Sendable {
    /// The suspect list. Raw values are shown to operators and kept for ever.
    package enum Code: String, Hashable, Sendable, CaseIterable {
        case unknownToken
        case refusedToken
        case startWhileOpen
        case repeatedStartWithUnsetClock
        case stopOfUnknownTransaction
        case meterValuesOfUnknownTransaction
        case secondStopDiffers
        case stopBeforeStart
        case stopRegisterBelowStart
        case registerFellOrJumped
        case stationClockWrong
        case eventWithoutStart
        case sequenceConflict
        case samplesOutOfOrder
        case orphanClosed
        case laterThanCDR
        case implausibleUnit
        case registerGapBetweenSessions
        case connectorOutOfRange
        case chargedWhileRefused
    }

    package enum State: String, Hashable, Sendable { case open, accepted, corrected, voided }

    package var id: Int64
    package var at: Timestamp
    package var code: Code
    package var station: String
    package var connector: ConnectorNumber?
    package var session: String?
    /// What came, in words and figures that let a person decide.
    package var detail: String
    package var state: State
    /// Who decided, once someone did.
    package var decidedBy: String?

    package init(
        id: Int64, at: Timestamp, code: Code, station: String, connector: ConnectorNumber?,
        session: String?, detail: String, state: State = .open, decidedBy: String? = nil
    ) {
        self.id = id
        self.at = at
        self.code = code
        self.station = station
        self.connector = connector
        self.session = session
        self.detail = detail
        self.state = state
        self.decidedBy = decidedBy
    }
}
