import CPO
import Charging
import Crypto
import JSON
import SQL
import Service

/// Firmware that stations fetch and logs that they send, over one-time URLs.
package final class FileStore: Sendable {
    let house: ChargePointOperator
    package let settings: FileSettings
    let disk: FileDisk
    /// Transfers under way, by address.
    private let transfers = Lock([String: Int]())

    package init(house: ChargePointOperator, settings: FileSettings) {
        self.house = house
        self.settings = settings
        disk = FileDisk(folder: settings.folder, freeBytes: settings.freeBytes)
        house.stations.onRemoval { try Self.forget($0, in: $1) }
    }

    // MARK: For the operator

    /// Newest first; of a kind, and of a station where one is named.
    package func list(
        _ kind: StationFile.Kind, station: String? = nil, limit: Int = 200
    ) async throws -> [StationFile] {
        try await house.read { transaction in
            try transaction.query(
                """
                SELECT * FROM csms_file WHERE kind = ? AND (CAST(? AS TEXT) IS NULL OR station = ?)
                ORDER BY created_at DESC, id LIMIT ?
                """, kind.rawValue, station, station, limit
            ).map(StationFile.init(row:))
        }
    }

    package func file(_ id: String) async throws -> StationFile? {
        try await house.read { try StationFile.stored(id, in: $0) }
    }

    /// Where a person sends an image to, once it has a label.
    package struct Invitation: Sendable {
        package var file: StationFile
        /// A path, so that a page sends it where it came from itself.
        package var path: String
        package var expiresAt: Timestamp
    }

    /// - Parameter note: writes the audit line, in the transaction that makes it.
    package func invite(
        _ label: StationFile.Label, by who: String,
        note: @escaping @Sendable (StationFile, Transaction) throws -> Void
    ) async throws -> Invitation {
        let now = house.clock.now
        let expires = now.advanced(bySeconds: Self.invitationSeconds)
        return try await house.write { transaction in
            let file = StationFile(
                id: UUID4.make(), kind: .firmware, label: label, createdAt: now, madeBy: who)
            try file.insert(in: transaction)
            let token = try FileLink.make(
                .put, file: file.id, station: nil, uses: Self.uploadTries, expires: expires,
                at: now, in: transaction)
            try note(file, transaction)
            return Invitation(file: file, path: "/files/\(token)", expiresAt: expires)
        }
    }

    private static let invitationSeconds: Int64 = 3600
    /// Starts of one upload: a line that breaks is no reason to ask again.
    static let uploadTries = 20

    /// Orders a log of a station, uploaded to here.
    ///
    /// - Throws: `CommandRefusal`.
    package func orderLog(
        _ kind: LogKind, from: Timestamp? = nil, until: Timestamp? = nil, extended: Bool,
        station: String, origin: CommandOrigin
    ) async throws -> Command {
        let now = house.clock.now
        return try await house.write { [self] transaction in
            let record = try reachable(station, in: transaction)
            let command = UUID4.make()
            var file = StationFile(
                id: UUID4.make(), kind: .log,
                label: .init(name: "\(record.id) \(kind.rawValue)"), createdAt: now,
                madeBy: origin.reference)
            file.station = record.id
            file.command = command
            try file.insert(in: transaction)
            let token = try FileLink.make(
                .put, file: file.id, station: record.id, uses: Self.uploadTries,
                expires: expiry(at: now), at: now, in: transaction)
            let order = LogOrder(
                kind: kind, transfer: TransferOrder(location: url(token)),
                requestID: extended ? try house.nextRequestNumber(in: transaction) : nil,
                from: from, until: until)
            let row = Command(
                id: command, station: record.id, command: .maintenance(.sendLog(order)),
                origin: origin, createdAt: now)
            try house.commands.enqueue(row, in: transaction)
            return row
        }
    }

    func reachable(_ id: String, in transaction: Transaction) throws -> StationRecord {
        guard let station = try house.stations.station(id, in: transaction),
            station.registration == .accepted
        else { throw CommandRefusal.unknownStation }
        guard station.isOnline else { throw CommandRefusal.offline }
        return station
    }

    /// Takes a file away, and every URL to it.
    ///
    /// - Returns: false when there is none.
    package func remove(
        _ id: String, note: @escaping @Sendable (Transaction) throws -> Void
    ) async throws -> Bool {
        let found = try await house.write { [house] transaction in
            guard try StationFile.stored(id, in: transaction) != nil else { return false }
            if let campaign = try house.campaigns.using(file: id, in: transaction) {
                throw FileInUse(campaign: campaign)
            }
            try Self.delete([id], in: transaction)
            try note(transaction)
            return true
        }
        // The row is gone: one that stays on the disk is set aside at the next start.
        if found { try await disk.remove(id) }
        return found
    }

    package struct FileInUse: Error, Hashable, Sendable {
        package var campaign: String
    }

    static func delete(_ ids: [String], in transaction: Transaction) throws {
        for id in ids {
            try transaction.execute("DELETE FROM csms_link WHERE file = ?", id)
            try transaction.execute("DELETE FROM csms_file WHERE id = ?", id)
        }
    }

    /// A station that is registered no more brings and fetches nothing; its logs stay their time.
    private static func forget(_ station: String, in transaction: Transaction) throws {
        try transaction.execute("DELETE FROM csms_link WHERE station = ?", station)
    }

    // MARK: URLs

    func url(_ token: String, name: String? = nil) -> String {
        "\(settings.url)/files/\(token)" + (name.map { "/\(StationFile.plain($0))" } ?? "")
    }

    func expiry(at now: Timestamp) -> Timestamp {
        now.advanced(bySeconds: Int64(settings.linkHours) * 3600)
    }

    /// A place among the transfers. nil: as many are under way as may be, in all or over this address.
    func beginTransfer(
        over address: String, atOnce: Int = FileStore.mostOverAnAddress
    ) -> Transfer? {
        let most = settings.transfers
        let isFree = transfers.withLock { transfers in
            let all = transfers.values.reduce(0, +)
            let same = transfers[address, default: 0]
            guard all < most, same < (address == Self.console ? most : atOnce)
            else { return false }
            transfers[address] = same + 1
            return true
        }
        return isFree ? Transfer(store: self, address: address) : nil
    }

    func isUnderWay(_ address: String) -> Bool { transfers.withLock { $0[address] != nil } }

    fileprivate func endTransfer(over address: String) {
        transfers.withLock { transfers in
            let left = (transfers[address] ?? 1) - 1
            transfers[address] = left > 0 ? left : nil
        }
    }

    /// A place among the transfers; free again with the last reference.
    final class Transfer: Sendable {
        private let store: FileStore
        private let address: String

        fileprivate init(store: FileStore, address: String) {
            self.store = store
            self.address = address
        }

        deinit { store.endTransfer(over: address) }
    }

    /// People at the console share one name here.
    static let console = "console"
    /// A broken download and the one that goes on with it; more of one station would keep others out.
    static let mostOverAnAddress = 2

}

// MARK: For campaigns

extension FileStore: FirmwareSource {
    package func image(_ id: String, in transaction: Transaction) throws -> FirmwareImage? {
        guard let file = try StationFile.stored(id, in: transaction), file.kind == .firmware,
            file.isWhole
        else { return nil }
        return Self.image(file)
    }

    package func images(version: String, in transaction: Transaction) throws -> [FirmwareImage] {
        try transaction.query(
            """
            SELECT * FROM csms_file WHERE kind = 'firmware' AND version = ?
            AND stored_at IS NOT NULL ORDER BY created_at DESC
            """, version
        ).map { Self.image(try StationFile(row: $0)) }
    }

    private static func image(_ file: StationFile) -> FirmwareImage {
        FirmwareImage(
            id: file.id, name: file.label.name, vendor: file.label.vendor, model: file.label.model,
            version: file.label.version, isSigned: file.label.signature != nil)
    }

    /// A URL for this station and this order alone.
    package func order(
        _ image: String, for station: String, signed: Bool, at now: Timestamp,
        in transaction: Transaction
    ) throws -> FirmwareOrder? {
        guard let file = try StationFile.stored(image, in: transaction), file.isWhole else {
            return nil
        }
        let token = try FileLink.make(
            .get, file: file.id, station: station, uses: settings.usesOfALink,
            expires: expiry(at: now), at: now, in: transaction)
        var order = FirmwareOrder(
            transfer: TransferOrder(
                location: url(token, name: file.label.name), retries: 3, retrySeconds: 60),
            retrieveAt: now)
        if signed, let certificate = file.label.certificate, let signature = file.label.signature {
            order.signed = FirmwareOrder.Signed(
                requestID: try house.nextRequestNumber(in: transaction), certificate: certificate,
                signature: signature)
        }
        return order
    }
}
