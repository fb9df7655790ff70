import CPO
import Charging
import SQL
import Service

/// Who may connect, in memory: the handshake is decided on the loop's thread and waits for nothing.
final class StationDirectory: Sendable {
    struct Entry: Hashable, Sendable {
        /// The registry's spelling.
        var id: String
        var registration: RegistrationStatus
        var access = StationAccess()
    }

    private let entries = Lock([String: Entry]())
    /// The stations, in lower case, that certificates of a name belong to by their access.
    private let names = Lock([String: Set<String>]())

    subscript(id: String) -> Entry? { entries.withLock { $0[id.lowercased()] } }

    func put(_ record: StationRecord) {
        entries.withLock { entries in
            let folded = record.id.lowercased()
            var entry =
                entries[folded] ?? Entry(id: record.id, registration: record.registration)
            entry.id = record.id
            entry.registration = record.registration
            entries[folded] = entry
        }
    }

    /// Of a station whose record comes later, too: its password must not be lost in between.
    func put(_ access: StationAccess, for id: String) {
        let before = entries.withLock { entries in
            let before = entries[id.lowercased()]?.access.certificateName
            entries[id.lowercased(), default: Entry(id: id, registration: .pending)].access = access
            return before
        }
        rename(id.lowercased(), from: before, to: access.certificateName)
    }

    private func rename(_ folded: String, from before: String?, to name: String?) {
        guard before != nil || name != nil else { return }
        names.withLock { names in
            if let before = before?.lowercased() {
                names[before]?.remove(folded)
                if names[before]?.isEmpty ?? false { names[before] = nil }
            }
            if let name { names[name.lowercased(), default: []].insert(folded) }
        }
    }

    /// Whether certificates with a station's id for their name are another station's.
    func isOthersName(_ id: String) -> Bool {
        names.withLock { $0[id.lowercased()] }?.contains { $0 != id.lowercased() } ?? false
    }

    func change(_ id: String, _ body: (inout StationAccess) -> Void) {
        entries.withLock { entries in
            guard var entry = entries[id.lowercased()] else { return }
            body(&entry.access)
            entries[id.lowercased()] = entry
        }
    }

    /// Makes a first password the station's at once, so that of two strangers with one id only one
    /// comes in; false when another password stands already.
    func claim(_ id: String, password: [UInt8]) -> Bool {
        let fresh = StationVerifier(password: password)
        return entries.withLock { entries in
            let folded = id.lowercased()
            var entry = entries[folded] ?? Entry(id: id, registration: .pending)
            if let verifier = entry.access.verifier { return verifier.match(password) != .no }
            entry.access.verifier = fresh
            entries[folded] = entry
            return true
        }
    }

    /// Stations in the inbox.
    var pendingCount: Int {
        entries.withLock { entries in entries.values.count { $0.registration == .pending } }
    }

    func remove(_ id: String) {
        let old = entries.withLock { $0.removeValue(forKey: id.lowercased()) }
        rename(id.lowercased(), from: old?.access.certificateName, to: nil)
    }

    /// Reads the registry page by page, then what each station proves itself by.
    func load(from house: ChargePointOperator) async throws {
        var last = ""
        while true {
            let page = try await house.stations.list(after: last)
            for record in page { put(record) }
            guard let next = page.last?.id else { break }
            last = next
        }
        // A row without its station is nobody's.
        let rows = try await house.read {
            try $0.query(
                "SELECT c.* FROM csms_station c JOIN station s ON s.folded = c.folded")
        }
        for row in rows { put(try StationAccess(row: row), for: try row.text("folded")) }
    }
}
