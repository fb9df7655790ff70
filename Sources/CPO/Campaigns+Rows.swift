import Charging
import JSON
import SQL

extension Campaigns {
    func store(
        _ record: inout Record, _ before: Record, _ effects: [CampaignMachine.Effect],
        at now: Timestamp, in transaction: Transaction
    ) throws {
        for case .became(_, let reason) in effects { record.reason = reason }
        record.changedAt = now
        try transaction.execute(
            "UPDATE campaign SET state = ?, forgiven = ?, reason = ?, changed_at = ? WHERE id = ?",
            record.machine.state.rawValue, record.machine.forgiven, record.reason, now, record.id)
        for (member, old) in zip(record.machine.members, before.machine.members)
        where member != old {
            try transaction.execute(
                """
                UPDATE campaign_member SET state = ?, tries = ?, command = ?, request = ?,
                ordered_at = ?, retry_at = ?, wait_since = ?, changed_at = ?,
                former_firmware = ?, note = ? WHERE campaign = ? AND station = ?
                """, member.state.rawValue, member.tries, member.command, member.request,
                member.orderedAt, member.retryAt, member.waitSince, member.changedAt,
                member.formerFirmware, member.note, record.id, member.station)
        }
        for effect in effects {
            switch effect {
            case .order: break
            case .became: try announce(record, at: now, in: transaction)
            case .changed(let station):
                let member = record.machine.members.first { $0.station == station }
                try journal.append(
                    .campaignStation, station,
                    .members([
                        "campaign": .string(record.id), "state": .text(member?.state.rawValue),
                        "note": .text(member?.note),
                    ]), at: now, in: transaction)
            }
        }
    }

    func announce(_ record: Record, at now: Timestamp, in transaction: Transaction) throws {
        news.note(.campaigns)
        try journal.append(
            .campaignChanged, record.id,
            .members([
                "state": .string(record.machine.state.rawValue), "reason": .text(record.reason),
            ]), at: now, in: transaction)
    }

    /// The last word of a station on its update, whoever asked for it.
    static func heard(
        _ status: FirmwareStatus, _ request: Int?, from station: String, at: Timestamp,
        in transaction: Transaction
    ) throws {
        try transaction.execute(
            """
            INSERT INTO station_firmware (station, status, request, at) VALUES (?, ?, ?, ?)
            ON CONFLICT (station) DO UPDATE SET status = excluded.status,
            request = excluded.request, at = excluded.at
            """, station, status.rawValue, request, at)
    }
}

extension Campaigns.Record {
    init(row: Row, members: [CampaignMachine.Member]) throws {
        id = try row.text("id")
        machine = CampaignMachine(
            plan: try CampaignPlan(storedText: row.text("plan")), members: members)
        machine.state = CampaignMachine.State(rawValue: try row.text("state")) ?? .paused
        machine.forgiven = try row.int("forgiven")
        reason = try row.textOrNil("reason")
        madeBy = try row.text("made_by")
        createdAt = try row.timestamp("created_at")
        changedAt = try row.timestamp("changed_at")
    }
}

extension CampaignMachine.Member {
    init(row: Row) throws {
        self.init(
            station: try row.text("station"), wave: try row.int("wave"),
            changedAt: try row.timestamp("changed_at"))
        state = State(rawValue: try row.text("state")) ?? .failed
        tries = try row.int("tries")
        command = try row.textOrNil("command")
        request = try row.intOrNil("request")
        orderedAt = try row.timestampOrNil("ordered_at")
        retryAt = try row.timestampOrNil("retry_at")
        waitSince = try row.timestampOrNil("wait_since")
        formerFirmware = try row.textOrNil("former_firmware")
        note = try row.textOrNil("note")
    }
}
