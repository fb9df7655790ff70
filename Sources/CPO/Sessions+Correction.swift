import Charging
import JSON
import SQL
import Service

extension Sessions {
    /// Bills a session that ended once more, as a person says it was: the former bill is taken back by
    /// a credit, and a new one is made. Nothing that left is ever changed. OCPI 2.2.1 §10.3.1.
    ///
    /// - Throws: `CorrectionRefusal`; then nothing was changed.
    package func correct(
        _ id: String, _ correction: Correction, at now: Timestamp, in transaction: Transaction
    ) throws -> CorrectedBill {
        guard let row = try transaction.queryOne("SELECT * FROM session WHERE id = ?", id) else {
            throw CorrectionRefusal.unknownSession
        }
        guard let closure = Closure(rawValue: try row.text("closure")),
            closure == .closed || closure == .ruled
        else { throw CorrectionRefusal.stillRunning }
        let before = try session(row: row)
        var session = before
        let key = try row.int64("key")
        switch correction.kind {
        case .figures(let figures):
            session = try refigured(before, figures, key: key, now, in: transaction)
        case .void:
            guard before.status != .invalid else { throw CorrectionRefusal.nothingChanges }
            session.status = .invalid
            session.usage = Usage(segments: [])
            session.cost = nil
        }
        session.lastUpdated = now
        try store(corrected: session, key: key, in: transaction)
        // Partners hear of the session first, then of its bills.
        try stores.journal.append(
            .sessionEnded, id,
            [
                "station": .string(session.station), "evse": .string(session.evseUID),
                "party": .string(session.token.party.description),
                "energyWh": .number(session.energy.value),
            ], at: now, in: transaction)
        let bill = try rebill(session, at: now, in: transaction)
        let isVoid = correction.kind == .void
        try stores.suspicions.decideAll(
            of: id, isVoid ? .voided : .corrected, by: correction.by, at: now, in: transaction)
        try stores.journal.append(
            .sessionCorrected, id,
            .members([
                "by": .string(correction.by), "reason": .string(correction.reason),
                "energyWhBefore": .number(before.energy.value),
                "energyWh": .number(isVoid ? 0 : session.energy.value),
                "credit": .text(bill.credit), "cdr": .text(bill.bill),
            ]), at: now, in: transaction)
        return bill
    }

    /// Takes back the bill a session has and makes the one it should have.
    func rebill(
        _ session: Session, at now: Timestamp, in transaction: Transaction
    ) throws -> CorrectedBill {
        let credit = try stores.cdrs.credit(session.id, at: now, in: transaction)
        var bill: String?
        if session.status == .completed {
            bill = try stores.cdrs.createNext(
                session, cost: session.cost ?? Self.free(session),
                signed: signed(of: session.id, in: transaction), at: now, in: transaction)
        }
        return CorrectedBill(session: session, credit: credit, bill: bill)
    }

    /// The session played again from its rows between the corrected ends.
    private func refigured(
        _ before: Session, _ figures: Correction.Figures, key: Int64, _ now: Timestamp,
        in transaction: Transaction
    ) throws -> Session {
        let start = figures.startedAt ?? before.startedAt
        var end = figures.endedAt ?? before.endedAt ?? before.lastUpdated
        // One that ended as it began has the shortest stretch for its energy, as at a stop.
        if figures.endedAt == nil, end == start { end = start.advanced(bySeconds: 1) }
        let first = figures.meterStart ?? before.meterStart
        let last = figures.meterStop ?? before.meterLast
        guard last >= first else { throw CorrectionRefusal.stopBelowStart }
        guard end > start else { throw CorrectionRefusal.endBeforeStart }
        // The end it has may be ahead of us by as much as a station's clock is believed.
        guard end <= now || figures.endedAt == nil else { throw CorrectionRefusal.endInFuture }
        guard last - first <= Self.mostEnergy else {
            throw CorrectionRefusal.tooMuch(last - first)
        }
        let isSame =
            start == before.startedAt && end == before.endedAt && first == before.meterStart
            && last == before.meterLast && before.status == .completed
        guard !isSame else { throw CorrectionRefusal.nothingChanges }
        let thinned = try transaction.queryOne(
            "SELECT thinned_at FROM session WHERE key = ?", key)?.timestampOrNil("thinned_at")
        guard thinned == nil else { throw CorrectionRefusal.readingsGone }
        try transaction.execute(
            "UPDATE session SET started_at = ?, result = ? WHERE key = ?", start,
            Outcome(usage: Usage(segments: []), cost: nil, meterStart: first).storedText, key)
        guard let row = try transaction.queryOne("SELECT * FROM session WHERE key = ?", key) else {
            throw CorrectionRefusal.unknownSession
        }
        var entry = try entry(row: row, until: end, highest: last, in: transaction)
        _ = entry.builder.take(.init(at: end, register: last, power: nil, current: nil))
        var session = entry.session
        session.usage = entry.builder.usage(until: end)
        session.endedAt = end
        session.meterLast = last
        session.status = .completed
        session.cost = price(session, in: entry.rules)
        return session
    }

    private func store(
        corrected session: Session, key: Int64, in transaction: Transaction
    ) throws {
        // The start as the station told it stays in its column: it tells a repeated start.
        try transaction.execute(
            """
            UPDATE session SET closure = 'closed', status = ?, ended_at = ?, meter_last_wh = ?,
            result = ?, last_updated = ? WHERE key = ?
            """, session.status.rawValue, session.endedAt, session.meterLast.value,
            Outcome(usage: session.usage, cost: session.cost, meterStart: session.meterStart)
                .storedText, session.lastUpdated, key)
    }
}
