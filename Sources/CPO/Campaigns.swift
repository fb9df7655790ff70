import Charging
import Crypto
import JSON
import SQL
import Service

/// Firmware campaigns: rows, and what their decisions bring about. Everything is in the database, so a
/// restart goes on where it was.
package final class Campaigns: Sendable {
    /// A campaign as it is stored, its members by wave.
    package struct Record: Hashable, Sendable {
        package var id: String
        package var machine: CampaignMachine
        /// Why it is paused.
        package var reason: String?
        package var madeBy: String
        package var createdAt: Timestamp
        package var changedAt: Timestamp
    }

    /// Why a campaign cannot be made, or cannot be changed so.
    package enum Refusal: Error, Hashable, Sendable {
        case unknownImage
        case tooManyCampaigns
        case noStation
        case tooManyStations(Int)
        case unknownStation(String)
        /// It stands in another campaign that is not over.
        case busyStation(String, campaign: String)
        /// The image is labelled for another vendor or model than this station's.
        case otherModel(String)
        case notRunning(CampaignMachine.State)
        /// It is no station of this campaign.
        case noMember(String)
        /// It is under way, or has come to its end.
        case notWaiting(String, CampaignMachine.Member.State)
        /// A rollback of a campaign that changed no station.
        case nothingToTakeBack
        case noFormerImage
    }

    /// Campaigns that are not over.
    package static let mostOpen = 20

    let database: Database
    let journal: Journal
    let news: HouseNews
    /// Whether a look may find one that is not over; at the start nobody knows.
    let mayBeOpen = Lock(true)

    init(database: Database, journal: Journal, news: HouseNews) {
        self.database = database
        self.journal = journal
        self.news = news
    }

    // MARK: Reading

    /// Newest first, without their members.
    package func list(limit: Int = 100) async throws -> [Record] {
        try await database.read { transaction in
            try transaction.query(
                "SELECT * FROM campaign ORDER BY created_at DESC, id LIMIT ?", limit
            ).map { try Record(row: $0, members: []) }
        }
    }

    package func campaign(_ id: String) async throws -> Record? {
        try await database.read { try self.campaign(id, in: $0) }
    }

    package func campaign(_ id: String, in transaction: Transaction) throws -> Record? {
        guard let row = try transaction.queryOne("SELECT * FROM campaign WHERE id = ?", id) else {
            return nil
        }
        let members = try transaction.query(
            "SELECT * FROM campaign_member WHERE campaign = ? ORDER BY position", id
        ).map(CampaignMachine.Member.init(row:))
        return try Record(row: row, members: members)
    }

    /// How many members of a campaign are in which state.
    package func counts(of id: String) async throws -> [String: Int] {
        try await database.read { transaction in
            var counts: [String: Int] = [:]
            for row in try transaction.query(
                "SELECT state, COUNT(*) AS n FROM campaign_member WHERE campaign = ? GROUP BY state",
                id)
            { counts[try row.text("state")] = try row.int("n") }
            return counts
        }
    }

    /// The campaign that is not over and sends this image; nil when none does.
    package func using(file: String, in transaction: Transaction) throws -> String? {
        try open(in: transaction).first { $0.machine.plan.image == file }?.id
    }

    // MARK: Making and changing

    /// - Parameter image: the plan's.
    /// - Parameter anyModel: although the image is labelled for another one.
    /// - Throws: `Refusal`.
    package func make(
        _ plan: CampaignPlan, _ image: FirmwareImage, _ selection: CampaignSelection,
        anyModel: Bool = false, in house: ChargePointOperator, by who: String, at now: Timestamp,
        transaction: Transaction
    ) throws -> Record {
        let count = try transaction.queryOne(
            "SELECT COUNT(*) AS n FROM campaign WHERE state IN ('running', 'paused')")
        guard try count?.int("n") ?? 0 < Self.mostOpen else { throw Refusal.tooManyCampaigns }
        let stations = try stations(selection, house, in: transaction)
        let ids = stations.map(\.id)
        guard !ids.isEmpty else { throw Refusal.noStation }
        if !anyModel, let other = stations.first(where: { !image.isFor($0) }) {
            throw Refusal.otherModel(other.id)
        }
        guard ids.count <= CampaignPlan.mostStations else {
            throw Refusal.tooManyStations(ids.count)
        }
        try refuseBusy(Set(ids), rollbackOf: plan.rollbackOf, in: transaction)
        let members = ids.enumerated().map { position, id in
            CampaignMachine.Member(station: id, wave: plan.wave(of: position), changedAt: now)
        }
        let record = Record(
            id: UUID4.make(), machine: CampaignMachine(plan: plan, members: members), reason: nil,
            madeBy: who, createdAt: now, changedAt: now)
        try transaction.execute(
            """
            INSERT INTO campaign (id, state, plan, forgiven, made_by, created_at, changed_at)
            VALUES (?, ?, ?, 0, ?, ?, ?)
            """, record.id, record.machine.state.rawValue, plan.storedText, who, now, now)
        for (position, member) in members.enumerated() {
            try transaction.execute(
                """
                INSERT INTO campaign_member (campaign, station, position, wave, state, tries,
                changed_at) VALUES (?, ?, ?, ?, ?, 0, ?)
                """, record.id, member.station, position, member.wave, member.state.rawValue, now)
        }
        try announce(record, at: now, in: transaction)
        return record
    }

    /// A station in two campaigns at once would be taken for done by one for what the other sent.
    ///
    /// What the campaign that is taken back has under way, the new one waits for.
    private func refuseBusy(
        _ wanted: Set<String>, rollbackOf former: String?, in transaction: Transaction
    ) throws {
        let busy = try transaction.query(
            """
            SELECT m.station AS station, m.campaign AS campaign FROM campaign_member m
            JOIN campaign c ON c.id = m.campaign WHERE c.id <> ?
            AND (c.state IN ('running', 'paused')
            OR m.state NOT IN ('waiting', 'done', 'failed', 'cancelled'))
            """, former ?? "")
        for row in busy where wanted.contains(try row.text("station")) {
            throw Refusal.busyStation(
                try row.text("station"), campaign: try row.text("campaign"))
        }
    }

    private func stations(
        _ selection: CampaignSelection, _ house: ChargePointOperator, in transaction: Transaction
    ) throws -> [StationRecord] {
        var candidates: [StationRecord] = []
        if selection.stations.isEmpty {
            candidates = try transaction.query(
                "SELECT * FROM station WHERE registration = 'Accepted' ORDER BY folded"
            ).map(StationRecord.init(row:))
        } else {
            for id in selection.stations {
                guard let station = try house.stations.station(id, in: transaction),
                    station.registration == .accepted
                else { throw Refusal.unknownStation(id) }
                if !candidates.contains(where: { $0.id == station.id }) {
                    candidates.append(station)
                }
            }
        }
        var there: Set<String>?
        if let place = selection.location {
            let evses = house.locations.location(place)?.evses ?? []
            there = Set(evses.compactMap(\.station))
        }
        return candidates.filter { selection.fits($0) && (there?.contains($0.id) ?? true) }
    }

    /// Pause, resume, cancel, skip a station by hand.
    ///
    /// - Returns: nil when there is none of this id.
    /// - Throws: `Refusal.notRunning` where it cannot be; of a skip also `.noMember`, `.notWaiting`.
    package func handle(
        _ input: CampaignMachine.Input, _ id: String, at now: Timestamp, in transaction: Transaction
    ) throws -> Record? {
        guard var record = try campaign(id, in: transaction) else { return nil }
        let before = record
        if case .skip(let station) = input, !record.machine.state.isOver {
            guard let member = record.machine.members.first(where: { $0.station == station })
            else { throw Refusal.noMember(station) }
            guard member.state == .waiting else {
                throw Refusal.notWaiting(station, member.state)
            }
        }
        let effects = record.machine.handle(input, at: now)
        guard !effects.isEmpty else { throw Refusal.notRunning(record.machine.state) }
        try store(&record, before, effects, at: now, in: transaction)
        return record
    }

    /// A campaign that sends the former image to every station that this one changed.
    ///
    /// - Parameter image: nil: the one image whose version they ran before.
    package func rollback(
        _ id: String, image: FirmwareImage?, anyModel: Bool = false, in house: ChargePointOperator,
        source: any FirmwareSource, by who: String, at now: Timestamp, transaction: Transaction
    ) throws -> Record? {
        guard let record = try campaign(id, in: transaction) else { return nil }
        guard record.machine.state.isOver || record.machine.state == .paused else {
            throw Refusal.notRunning(record.machine.state)
        }
        // Those that have it, and those that may have it: also who waits for another try.
        let changed = record.machine.members.filter { $0.tries > 0 }
        guard !changed.isEmpty else { throw Refusal.nothingToTakeBack }
        guard let image = try image ?? former(of: changed, source, in: transaction) else {
            throw Refusal.noFormerImage
        }
        if record.machine.state == .paused {
            _ = try handle(.cancel, id, at: now, in: transaction)
        }
        var plan = record.machine.plan
        plan.name = "back: \(plan.name)"
        plan.image = image.id
        plan.version = image.version
        // Who chose the plain order did so because the stations know no other.
        plan.isSigned = plan.isSigned && image.isSigned
        plan.rollbackOf = id
        var selection = CampaignSelection()
        selection.stations = changed.map(\.station)
        return try make(
            plan, image, selection, anyModel: anyModel, in: house, by: who, at: now,
            transaction: transaction)
    }

    private func former(
        of members: [CampaignMachine.Member], _ source: any FirmwareSource,
        in transaction: Transaction
    ) throws -> FirmwareImage? {
        let versions = Set(members.compactMap(\.formerFirmware))
        guard versions.count == 1, let version = versions.first else { return nil }
        let images = try source.images(version: version, in: transaction)
        return images.count == 1 ? images[0] : nil
    }
}
