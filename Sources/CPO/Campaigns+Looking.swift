import Charging
import Crypto
import SQL
import Service

extension Campaigns {
    private static let lookMilliseconds: Int64 = 1000
    private static let longestWaitMilliseconds: Int64 = 30_000

    /// Looks at the stations of open campaigns until cancelled; the roof owns the task.
    package func run(_ house: ChargePointOperator, _ source: any FirmwareSource) async throws {
        let announcements = journal.announcements()
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask {
                while true {
                    try await self.look(house, source)
                    try await house.clock.sleep(milliseconds: Self.longestWaitMilliseconds)
                }
            }
            for await _ in announcements {
                // Meter values are announced too: all that came in a moment is looked at once.
                try await house.clock.sleep(milliseconds: Self.lookMilliseconds)
                try await look(house, source)
            }
        }
    }

    /// One look at every open campaign. Where none is open nothing is read, and what is read holds up no
    /// station: the writer is asked only for those that have come to a step.
    package func look(
        _ house: ChargePointOperator, _ source: any FirmwareSource
    ) async throws {
        if news.takeCampaigns() { mayBeOpen.withLock { $0 = true } }
        guard mayBeOpen.withLock({ $0 }) else { return }
        let now = house.clock.now
        let (isOpen, isDue) = try await database.read { transaction in
            let open = try self.open(in: transaction)
            let isDue = try open.contains {
                try self.step(of: $0, house, at: now, in: transaction) != nil
            }
            return (!open.isEmpty, isDue)
        }
        // One that was made meanwhile is heard of at the next look.
        if !isOpen { mayBeOpen.withLock { $0 = false } }
        guard isDue else { return }
        try await house.write { transaction in
            // What one settles another may have waited for.
            for before in try self.open(in: transaction) {
                guard let step = try self.step(of: before, house, at: now, in: transaction)
                else { continue }
                let effects = step.1
                var record = step.0
                try self.order(&record, effects, house, source, at: now, in: transaction)
                try self.store(&record, before, effects, at: now, in: transaction)
            }
        }
    }

    /// Why the members that wait do so.
    package func waits(
        of record: Record, in house: ChargePointOperator, at now: Timestamp
    ) async throws -> [String: CampaignMachine.Wait] {
        guard !record.machine.state.isOver else { return [:] }
        return try await database.read { transaction in
            record.machine.waits(try self.sights(of: record, house, in: transaction), at: now)
        }
    }

    /// What a look at its stations makes of a campaign; nil: nothing.
    private func step(
        of record: Record, _ house: ChargePointOperator, at now: Timestamp,
        in transaction: Transaction
    ) throws -> (Record, [CampaignMachine.Effect])? {
        let sights = try sights(of: record, house, in: transaction)
        var after = record
        let effects = after.machine.handle(.look(sights), at: now)
        return effects.isEmpty && after == record ? nil : (after, effects)
    }

    /// Running, paused, and over while a station of it is still under way.
    func open(in transaction: Transaction) throws -> [Record] {
        try transaction.query(
            """
            SELECT c.id AS id FROM campaign c WHERE c.state IN ('running', 'paused') OR EXISTS (
            SELECT 1 FROM campaign_member m WHERE m.campaign = c.id
            AND m.state NOT IN ('waiting', 'done', 'failed', 'cancelled'))
            ORDER BY c.created_at
            """
        ).compactMap { try campaign(try $0.text("id"), in: transaction) }
    }

    private func sights(
        of record: Record, _ house: ChargePointOperator, in transaction: Transaction
    ) throws -> [String: CampaignMachine.Sight] {
        let charging = house.sessions.chargingStations()
        var sights: [String: CampaignMachine.Sight] = [:]
        for row in try transaction.query(
            """
            SELECT s.id AS id, s.is_online AS is_online, s.firmware AS firmware,
            s.booted_at AS booted_at, f.status AS status, f.request AS request, f.at AS at,
            m.command AS command, k.state AS command_state, k.answer AS answer,
            k.sent_at AS sent_at,
            (SELECT COUNT(*) FROM station_connector p WHERE p.station = s.id AND p.status IN
            ('Preparing', 'Charging', 'SuspendedEV', 'SuspendedEVSE', 'Finishing')) AS busy,
            (SELECT COUNT(*) FROM campaign_member o WHERE o.station = m.station
            AND o.campaign <> m.campaign
            AND o.state NOT IN ('waiting', 'done', 'failed', 'cancelled')) AS elsewhere
            FROM campaign_member m JOIN station s ON s.id = m.station
            LEFT JOIN station_firmware f ON f.station = s.id
            LEFT JOIN command k ON k.id = m.command
            WHERE m.campaign = ? AND m.state NOT IN ('done', 'failed', 'cancelled')
            AND s.registration = 'Accepted'
            """, record.id)
        {
            let id = try row.text("id")
            var sight = CampaignMachine.Sight()
            sight.isOnline = try row.bool("is_online")
            sight.isCharging = try charging.contains(id) || row.int("busy") > 0
            sight.firmware = try row.textOrNil("firmware")
            sight.bootedAt = try row.timestampOrNil("booted_at")
            sight.status = try row.textOrNil("status").flatMap(FirmwareStatus.init(rawValue:))
            sight.statusRequest = try row.intOrNil("request")
            sight.statusAt = try row.timestampOrNil("at")
            sight.isUnderWayElsewhere = try row.int("elsewhere") > 0
            sight.order = Self.order(
                try row.textOrNil("command_state"), try row.textOrNil("answer"),
                wasSent: try !row.isNull("sent_at"))
            sights[id] = sight
        }
        return sights
    }

    /// A station that never answered may have it all the same: what it reports decides, or the deadline.
    private static func order(
        _ state: String?, _ answer: String?, wasSent: Bool
    ) -> CampaignMachine.Sight.Order? {
        switch state.flatMap(Command.State.init(rawValue:)) {
        case nil: nil
        case .queued, .sent, .timedOut: .open
        case .accepted, .seen: .accepted
        case .failed where !wasSent: .unsent
        case .rejected, .failed: .refused(answer ?? "the station refused it")
        }
    }

    private func order(
        _ record: inout Record, _ effects: [CampaignMachine.Effect], _ house: ChargePointOperator,
        _ source: any FirmwareSource, at now: Timestamp, in transaction: Transaction
    ) throws {
        for case .order(let station) in effects {
            guard
                let index = record.machine.members.firstIndex(where: { $0.station == station }),
                let order = try source.order(
                    record.machine.plan.image, for: station,
                    signed: record.machine.plan.isSigned, at: now, in: transaction)
            else { continue }
            let command = Command(
                id: UUID4.make(), station: station, command: .maintenance(.updateFirmware(order)),
                origin: CommandOrigin(door: "campaign", reference: record.id), createdAt: now)
            try house.commands.enqueue(command, in: transaction)
            record.machine.members[index].command = command.id
            record.machine.members[index].request = order.signed?.requestID
        }
    }
}
