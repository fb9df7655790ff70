import Charging

/// Who asked for a command, so that its outcome finds the way back.
package struct CommandOrigin: Hashable, Sendable {
    /// `ocpi`, `beckn`, `console`, `api`.
    package var door: String
    /// The door's own reference: a party and response URL's row, an order's id, a user's name.
    package var reference: String

    package init(door: String, reference: String) {
        self.door = door
        self.reference = reference
    }
}

/// An order to a station, as a row with its life.
package struct Command: Hashable, Sendable {
    /// `queued → sent → accepted | rejected | timedOut | failed`; `accepted → seen | timedOut`.
    package enum State: String, Hashable, Sendable, CaseIterable {
        case queued, sent, accepted, rejected, timedOut, failed, seen

        /// The station's answer, or its absence, is known. Only an accepted one may still move.
        package var isSettled: Bool { self != .queued && self != .sent }
        /// Nothing more will come.
        package var isFinal: Bool { isSettled && self != .accepted }
    }

    /// UUID.
    package var id: String
    package var station: String
    package var command: StationCommand
    package var state: State
    package var origin: CommandOrigin
    /// The payer a remote start was given; it goes into session and CDR.
    package var token: Token?
    package var authorizationReference: String?
    /// The tariff a start was sold under, where the caller names one; else the connector's own.
    package var tariffID: String?
    package var createdAt: Timestamp
    /// It waits for this time; nil: it goes out at once.
    package var notBefore: Timestamp?
    package var sentAt: Timestamp?
    package var answeredAt: Timestamp?
    package var seenAt: Timestamp?
    /// The station's answer as text: a status, or the raw payload; on a failure why it failed.
    package var answer: String?
    /// What it brought about once seen: the session's id for start and stop.
    package var effect: String?

    package init(
        id: String, station: String, command: StationCommand, state: State = .queued,
        origin: CommandOrigin, token: Token? = nil, authorizationReference: String? = nil,
        tariffID: String? = nil, createdAt: Timestamp, notBefore: Timestamp? = nil,
        sentAt: Timestamp? = nil,
        answeredAt: Timestamp? = nil, seenAt: Timestamp? = nil, answer: String? = nil,
        effect: String? = nil
    ) {
        self.id = id
        self.station = station
        self.command = command
        self.state = state
        self.origin = origin
        self.token = token
        self.authorizationReference = authorizationReference
        self.tariffID = tariffID
        self.createdAt = createdAt
        self.notBefore = notBefore
        self.sentAt = sentAt
        self.answeredAt = answeredAt
        self.seenAt = seenAt
        self.answer = answer
        self.effect = effect
    }
}

/// Why a command could not even become a row.
package enum CommandRefusal: Error, Hashable, Sendable {
    case unknownStation
    case unknownEVSE
    case unknownSession
    /// The session is over, or its transaction was never acknowledged.
    case sessionNotRunning
    case unknownReservation
    /// The reservation would have ended already.
    case expired
    /// Another charge runs there already.
    case occupied
    /// Faulted, unavailable or not commissioned.
    case inoperative
    /// The station has no link now and the command must not wait.
    case offline
    /// The connector's current is shared from here: its limits are set at its site.
    case shared
}

/// How commands reach stations; the CSMS door implements it.
package protocol StationLinks: Sendable {
    /// Sends over the newest socket, one call at a time, and waits for the answer.
    ///
    /// - Returns: the station's answer, `Rejected` included.
    /// - Throws: when there is none that can be understood.
    func send(_ command: StationCommand, to station: String, deadlineSeconds: Int)
        async throws(StationLinkError) -> CommandAnswer

    /// The same for a command of a row, which `cancel` can name and a newer one can replace.
    func carry(_ command: Command, deadlineSeconds: Int)
        async throws(StationLinkError) -> CommandAnswer

    /// Takes a command back that waits for its turn.
    ///
    /// - Returns: false when it is with the station already, or nowhere.
    func cancel(_ command: String, at station: String) async -> Bool
}

extension StationLinks {
    package func carry(
        _ command: Command, deadlineSeconds: Int
    ) async throws(StationLinkError) -> CommandAnswer {
        try await send(
            command.command, to: command.station, deadlineSeconds: deadlineSeconds)
    }

    package func cancel(_ command: String, at station: String) async -> Bool { false }
}

/// Why a station gave no answer. Only `.timedOut` and `.lost` leave the effect open.
package enum StationLinkError: Error, Hashable, Sendable {
    case offline
    case timedOut
    /// The socket went away while the answer was awaited.
    case lost
    /// The station's dialect cannot say this.
    case notSupported
    /// The station answered with a call error.
    case refused(code: String, description: String)
    /// The answer was not one; its text.
    case notUnderstood(String)
    /// Too many calls wait for this station.
    case busy
    /// Taken back before it was sent.
    case cancelled
    /// A newer one that says the same otherwise took its place before it was sent.
    case replaced
}
