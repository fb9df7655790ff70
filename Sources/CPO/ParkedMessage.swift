import Charging
import Crypto
import JSON
import SQL

/// A stop, or readings, whose transaction nobody here knows: kept until the start turns up, or until
/// a person says whose it is or that it is nobody's.
package struct ParkedMessage: Hashable, Sendable {
    package enum Content: Hashable, Sendable {
        case stop(SessionStop)
        case readings(MeterReport)
    }

    package enum State: String, Hashable, Sendable {
        case waiting
        /// It went into a session, by itself or by a person's word.
        case bound
        /// A person accepted that it stays as it is, or it lies beside what counted before it.
        case kept
        case voided
    }

    package var id: Int64
    package var station: String
    package var content: Content
    package var receivedAt: Timestamp
    /// Why it could not be placed, in words.
    package var reason: String
    package var state: State
    /// The suspicion by which it is reviewed; several messages of one transaction share it.
    package var suspicion: Int64?
    package var session: String?

    /// As the station gave it.
    package var reference: TransactionReference? { content.reference }
}

extension ParkedMessage.Content {
    /// In the table, for ever.
    var kind: String {
        switch self {
        case .stop: "stop"
        case .readings: "readings"
        }
    }

    package var reference: TransactionReference? {
        switch self {
        case .stop(let stop): stop.transaction
        case .readings(let report): report.transaction
        }
    }

    var connector: ConnectorNumber? {
        if case .readings(let report) = self { report.connector } else { nil }
    }

    var payload: String {
        switch self {
        case .stop(let stop): stop.storedText
        case .readings(let report): report.storedText
        }
    }

    /// What tells a repeated message from another one.
    var finger: String { Hex.encode(SHA256.hash(payload)) }

    init(kind: String, payload: String) throws {
        switch kind {
        case "stop": self = .stop(try SessionStop(storedText: payload))
        case "readings": self = .readings(try MeterReport(storedText: payload))
        default: throw StoredError(key: "kind")
        }
    }
}

extension ParkedMessage {
    init(row: Row) throws {
        self.init(
            id: try row.int64("id"), station: try row.text("station"),
            content: try Content(kind: row.text("kind"), payload: row.text("payload")),
            receivedAt: try row.timestamp("received_at"), reason: try row.text("reason"),
            state: State(rawValue: try row.text("state")) ?? .waiting,
            suspicion: try row.int64OrNil("suspicion"), session: try row.textOrNil("session"))
    }
}

extension SessionStop: Stored {
    package var stored: JSONValue {
        .members([
            "transaction": transaction.stored, "registerWh": .number(meterStop.value),
            "at": .moment(at), "reason": .string(reason.rawValue), "token": .text(token),
            "readings": .array(readings.map(\.stored)),
        ])
    }

    package init(stored: JSONValue) throws {
        self.init(
            transaction: try stored.nested("transaction"),
            meterStop: WattHours(try stored.int64("registerWh")), at: try stored.timeOrNil("at"),
            reason: try stored.choice("reason"), token: try stored.textOrNil("token"),
            readings: try stored.list("readings"))
    }
}

extension MeterReport: Stored {
    package var stored: JSONValue {
        .members([
            "connector": .number(connector), "transaction": transaction?.stored,
            "readings": .array(readings.map(\.stored)),
        ])
    }

    package init(stored: JSONValue) throws {
        self.init(
            connector: try stored.int("connector"),
            transaction: try stored.nestedOrNil("transaction"),
            readings: try stored.list("readings"))
    }
}

extension MeterReading: Stored {
    package var stored: JSONValue {
        .members(["at": .moment(at), "samples": .string(storedSamples)])
    }

    package init(stored: JSONValue) throws {
        let at = try stored.timeOrNil("at")
        let reading = try MeterReading(
            at: at ?? Timestamp(milliseconds: 0), storedSamples: try stored.text("samples"))
        self.init(at: at, samples: reading.samples)
    }
}
