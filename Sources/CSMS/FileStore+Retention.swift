import CPO
import Charging
import SQL
import Service

// What stays on the disk, and how long.

extension FileStore {
    /// Makes the folder, and sets aside what belongs to nobody: the database may be an older one that was
    /// restored, or the wrong one. What is known again comes back; after `asideDays` it is deleted.
    package func load() async throws {
        try await disk.prepare()
        let now = house.clock.now
        let (known, here) = (try await known(), try await disk.ids())
        let strange = here.filter { !known.contains($0) }
        for id in strange { try await disk.setAside(id, at: now) }
        if !strange.isEmpty {
            house.log.warning(
                "files the database does not know were set aside",
                [
                    "count": strange.count, "folder": "\(settings.folder)/\(Self.asideName)",
                    "days": Self.asideDays,
                ])
        }
        let missing = known.subtracting(here)
        for id in try await disk.aside() where missing.contains(id) {
            try await disk.bringBack(id)
        }
    }

    /// Below the folder of the files.
    static let asideName = "set-aside"
    static let asideDays = 30
    private static let rowsAPage = 1000

    private func known() async throws -> Set<String> {
        var known: Set<String> = []
        var last = ""
        while true {
            let page = try await house.read { [last] transaction in
                try transaction.query(
                    "SELECT id FROM csms_file WHERE id > ? ORDER BY id LIMIT ?", last,
                    Self.rowsAPage
                ).map { try $0.text("id") }
            }
            known.formUnion(page)
            guard page.count == Self.rowsAPage, let end = page.last else { return known }
            last = end
        }
    }

    /// Deletes what is too old or too much, until cancelled.
    package func run() async throws {
        while true {
            try await tidy()
            try await house.clock.sleep(milliseconds: 3_600_000)
        }
    }

    func tidy() async throws {
        let now = house.clock.now
        let settings = settings
        try await house.write { transaction in
            try FileLink.forget(before: now.advanced(bySeconds: -7 * 86_400), in: transaction)
        }
        var count = try await disk.forgetAside(
            before: now.advanced(bySeconds: -Int64(Self.asideDays) * 86_400))
        while true {
            let gone = try await house.write { transaction in
                let gone = try Self.outdated(settings, at: now, in: transaction)
                try Self.delete(gone, in: transaction)
                return gone
            }
            if gone.isEmpty { break }
            for id in gone { try await disk.remove(id) }
            count += gone.count
        }
        if count > 0 { house.log.info("files deleted", ["count": count]) }
    }

    /// Logs past their days, then the oldest until the rest is within its bytes; labels whose file
    /// never came. A page of them, the oldest first: what goes later must not make room for these.
    private static func outdated(
        _ settings: FileSettings, at now: Timestamp, in transaction: Transaction
    ) throws -> [String] {
        let oldest = now.advanced(bySeconds: -Int64(settings.logDays) * 86_400)
        let never = now.advanced(bySeconds: -Int64(settings.linkHours) * 3600 - 86_400)
        let logs = try transaction.query(
            """
            SELECT id FROM (SELECT id, created_at, SUM(COALESCE(size, 0))
            OVER (ORDER BY created_at DESC, id) AS kept
            FROM csms_file WHERE kind = 'log' AND stored_at IS NOT NULL) AS logs
            WHERE created_at < ? OR kept > ? ORDER BY created_at, id DESC LIMIT ?
            """, oldest, settings.logBytesKept, rowsAPage)
        let labels = try transaction.query(
            "SELECT id FROM csms_file WHERE stored_at IS NULL AND created_at < ? LIMIT ?", never,
            rowsAPage)
        return try (logs + labels).map { try $0.text("id") }
    }
}
