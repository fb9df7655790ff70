import Charging
import JSON
import SQL
import Service

extension Sessions {
    /// What a session keeps as it was when it began.
    struct Sealed: Stored {
        var token: Token
        var location: Location
        var connectorID: String
        var tariff: Tariff?
        var currency: String

        var stored: JSONValue {
            .members([
                "token": token.stored, "location": location.stored,
                "connectorID": .string(connectorID), "tariff": tariff?.stored,
                "currency": .string(currency),
            ])
        }

        init(
            token: Token, location: Location, connectorID: String, tariff: Tariff?, currency: String
        ) {
            self.token = token
            self.location = location
            self.connectorID = connectorID
            self.tariff = tariff
            self.currency = currency
        }

        init(stored: JSONValue) throws {
            token = try stored.nested("token")
            location = try stored.nested("location")
            connectorID = try stored.text("connectorID")
            tariff = try stored.nestedOrNil("tariff")
            currency = try stored.text("currency")
        }
    }

    /// What a session came to.
    struct Outcome: Stored {
        var usage: Usage
        var cost: Cost?
        /// Where a person corrected it; else the column's.
        var meterStart: WattHours?

        var stored: JSONValue {
            .members([
                "usage": usage.stored, "cost": cost?.stored,
                "meterStartWh": meterStart.map { .number($0.value) },
            ])
        }

        init(usage: Usage, cost: Cost?, meterStart: WattHours? = nil) {
            self.usage = usage
            self.cost = cost
            self.meterStart = meterStart
        }

        init(stored: JSONValue) throws {
            usage = try stored.nested("usage")
            cost = try stored.nestedOrNil("cost")
            meterStart = stored["meterStartWh"]?.number?.int64.map { WattHours($0) }
        }
    }

    /// A session from its row alone; a running one has its usage only in the book.
    func session(row: Row) throws -> Session {
        let sealed = try Sealed(storedText: row.text("sealed"))
        let outcome = try row.textOrNil("result").map { try Outcome(storedText: $0) }
        let suspicions = try row.text("suspicions").split(separator: ",").map(String.init)
        return Session(
            id: try row.text("id"),
            status: SessionStatus(rawValue: try row.text("status")) ?? .invalid,
            station: try row.text("station"), connector: try row.int("connector"),
            transaction: try TransactionReference(storedText: row.text("reference")),
            token: sealed.token,
            authMethod: AuthMethod(rawValue: try row.text("auth_method")) ?? .whitelist,
            authorizationReference: try row.textOrNil("authorization_reference"),
            location: sealed.location, evseUID: try row.text("evse_uid"),
            connectorID: sealed.connectorID, tariff: sealed.tariff, currency: sealed.currency,
            startedAt: try row.timestamp("started_at"),
            endedAt: try row.timestampOrNil("ended_at"),
            meterStart: try outcome?.meterStart ?? WattHours(row.int64("meter_start_wh")),
            meterLast: WattHours(try row.int64("meter_last_wh")),
            usage: outcome?.usage ?? Usage(segments: []), cost: outcome?.cost,
            stopReason: try row.textOrNil("stop_reason").flatMap { StopReason(rawValue: $0) },
            suspicions: suspicions, lastUpdated: try row.timestamp("last_updated"))
    }

    /// An entry of the book, with everything reported so far played again.
    ///
    /// - Parameter end: leave out what lies after it.
    /// - Parameter highest: leave out registers above it.
    /// - Parameter credible: leave out registers that cannot be, as nothing but them says what to bill.
    func entry(
        row: Row, until end: Timestamp? = nil, highest: WattHours? = nil, credible: Bool = false,
        in transaction: Transaction
    ) throws -> SessionBook.Entry {
        let session = try session(row: row)
        let key = try row.int64("key")
        var entry = SessionBook.Entry(
            key: key, session: session,
            builder: UsageBuilder(
                startedAt: session.startedAt, meterStart: session.meterStart,
                status: try row.textOrNil("start_status").flatMap { ConnectorStatus(rawValue: $0) }),
            rules: rules(of: session.location.timeZone), idTag: try row.text("id_tag"),
            authorization: AuthorizationStatus(rawValue: try row.text("authorization_status"))
                ?? .invalid, isAcknowledged: try row.bool("is_acknowledged"),
            mayBePending: try stores.stations.isWaiting(session.station, in: transaction),
            journalledAt: session.lastUpdated,
            ratedWatts: Self.ratedWatts(session.location.evses.first?.connectors.first),
            raised: Set(session.suspicions.compactMap { Suspicion.Code(rawValue: $0) }))
        let limit = end?.milliseconds ?? .max
        try eachStatus(of: session, before: limit, in: transaction) { at, status in
            _ = entry.builder.take(.init(at: at, status: status))
        }
        var credibility = credible ? CredibleRegisters(of: entry) : nil
        if credible {
            try eachReading(of: key, from: session.startedAt, to: limit, in: transaction) {
                credibility?.take($0.register, at: $1)
            }
        }
        try eachReading(of: key, from: session.startedAt, to: limit, in: transaction) {
            reading, at in
            entry.readings += 1
            if let register = reading.register {
                if let highest, register > highest { return }
                if let credibility, !credibility.contains(register, at: at) { return }
            }
            Self.take(reading, at: at, into: &entry)
        }
        return entry
    }

    /// Rows read at once: a session's may be more than one query gives.
    private static let rowsAPage = 5000

    /// In order, page by page.
    private func eachStatus(
        of session: Session, before limit: Int64, in transaction: Transaction,
        _ body: (Timestamp, ConnectorStatus) -> Void
    ) throws {
        var at = session.startedAt.advanced(bySeconds: -UsageBuilder.leadSeconds).milliseconds
        var (receivedAt, text, code) = (Int64.min, "", "")
        while true {
            let rows = try transaction.query(
                """
                SELECT at, received_at, status, error_code FROM status_change
                WHERE station = ? AND connector = ? AND at >= ? AND at < ?
                AND (at > ? OR received_at > ? OR (received_at = ?
                AND (status > ? OR (status = ? AND error_code > ?))))
                ORDER BY at, received_at, status, error_code LIMIT ?
                """, session.station, session.connector, at, limit, at, receivedAt, receivedAt,
                text, text, code, Self.rowsAPage)
            for row in rows {
                guard let status = ConnectorStatus(rawValue: try row.text("status")) else {
                    continue
                }
                body(try row.timestamp("at"), status)
            }
            guard rows.count == Self.rowsAPage, let last = rows.last else { return }
            (at, receivedAt) = (try last.int64("at"), try last.int64("received_at"))
            (text, code) = (try last.text("status"), try last.text("error_code"))
        }
    }

    /// In order, page by page.
    func eachReading(
        of key: Int64, from start: Timestamp, to limit: Int64, in transaction: Transaction,
        _ body: (MeterReading, Timestamp) -> Void
    ) throws {
        var (at, finger) = (start.milliseconds, Int64.min)
        while true {
            let rows = try transaction.query(
                """
                SELECT at, finger, samples FROM meter_reading WHERE session = ? AND at >= ? AND at <= ?
                AND (at > ? OR finger >= ?) ORDER BY at, finger LIMIT ?
                """, key, at, limit, at, finger, Self.rowsAPage)
            for row in rows {
                let at = try row.timestamp("at")
                body(try MeterReading(at: at, storedSamples: row.text("samples")), at)
            }
            guard rows.count == Self.rowsAPage, let last = rows.last else { return }
            (at, finger) = (try last.int64("at"), try last.int64("finger"))
            // The next one behind it; of the last finger there is none at this time.
            if finger == .max { (at, finger) = (at + 1, .min) } else { finger += 1 }
        }
    }

    /// What one reading does to an entry.
    @discardableResult
    static func take(
        _ reading: MeterReading, at: Timestamp, into entry: inout SessionBook.Entry
    ) -> UsageBuilder.Outcome {
        entry.stateOfCharge = reading.stateOfCharge ?? entry.stateOfCharge
        if entry.currentsAt.map({ $0 <= at }) ?? true, let currents = reading.currents {
            entry.currents = currents
            entry.currentsAt = at
        }
        return entry.builder.take(
            UsageBuilder.Reading(
                at: at, register: reading.register, power: reading.power, current: reading.current))
    }

    /// What the plug can give at most; nil when nobody said.
    static func ratedWatts(_ connector: Connector?) -> Int64? {
        guard let connector, connector.maxVoltage > 0, connector.maxAmperage > 0 else { return nil }
        if let power = connector.maxElectricPower { return Int64(power) }
        let phases = connector.powerType == "AC_3_PHASE" ? 3 : 1
        return Int64(connector.maxVoltage) * Int64(connector.maxAmperage) * Int64(phases)
    }

    /// Raises a suspicion about a session and notes it in its row.
    ///
    /// - Returns: its number.
    @discardableResult
    func suspect(
        _ code: Suspicion.Code, _ session: inout Session, key: Int64, _ detail: String,
        at: Timestamp, in transaction: Transaction
    ) throws -> Int64 {
        let number = try stores.suspicions.raise(
            code, station: session.station, connector: session.connector, session: session.id,
            detail: detail, at: at, in: transaction)
        guard !session.suspicions.contains(code.rawValue) else { return number }
        session.suspicions.append(code.rawValue)
        try transaction.execute(
            "UPDATE session SET suspicions = ? WHERE key = ?",
            session.suspicions.joined(separator: ","), key)
        return number
    }
}
