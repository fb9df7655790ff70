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

    /// Of one that is new, or that brings its first password, until its row is written. A handshake whose
    /// socket never opens leaves nothing behind but this, and not for long.
    struct Claim: Sendable {
        /// nil where it came without a password.
        var verifier: StationVerifier?
        var from: Neighbourhood
        /// Milliseconds of the clock that never steps back.
        var at: Int64

        static let lifeMilliseconds: Int64 = 60_000
    }

    private struct State {
        var entries: [String: Entry] = [:]
        /// Those of the entries that are in the inbox.
        var pending: Set<String> = []
        var claims: [String: Claim] = [:]

        mutating func set(_ entry: Entry, _ folded: String) {
            entries[folded] = entry
            if entry.registration == .pending {
                pending.insert(folded)
            } else {
                pending.remove(folded)
            }
        }

        mutating func forgetOldClaims(at now: Int64) {
            claims = claims.filter { now - $0.value.at < Claim.lifeMilliseconds }
        }
    }

    private let state = Lock(State())
    /// The stations, in lower case, that certificates of a name belong to by their access.
    private let names = Lock([String: Set<String>]())

    subscript(id: String) -> Entry? { state.withLock { $0.entries[id.lowercased()] } }

    func put(_ record: StationRecord) {
        state.withLock { state in
            let folded = record.id.lowercased()
            var entry =
                state.entries[folded] ?? Entry(id: record.id, registration: record.registration)
            entry.id = record.id
            entry.registration = record.registration
            state.set(entry, folded)
            state.claims[folded] = nil
        }
    }

    /// Of a station whose record comes later, too: its password must not be lost in between.
    func put(_ access: StationAccess, for id: String) {
        let before = state.withLock { state in
            let folded = id.lowercased()
            var entry = state.entries[folded] ?? Entry(id: id, registration: .pending)
            let before = entry.access.certificateName
            entry.access = access
            state.set(entry, folded)
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
        state.withLock { state in
            guard var entry = state.entries[id.lowercased()] else { return }
            body(&entry.access)
            state.entries[id.lowercased()] = entry
        }
    }

    // MARK: Who is new

    /// Keeps the place of a new station, or of a first password, so that of two strangers with one id
    /// only one comes in; false when another password stands already.
    func claim(_ id: String, _ claim: Claim, with password: [UInt8]?) -> Bool {
        let folded = id.lowercased()
        return state.withLock { state in
            let known = state.claims[folded].flatMap { known in
                claim.at - known.at < Claim.lifeMilliseconds ? known.verifier : nil
            }
            if let verifier = state.entries[folded]?.access.verifier ?? known {
                return password.map { verifier.match($0) != .no } ?? false
            }
            // What nobody came for is not looked for each time.
            if state.claims.count % 1024 == 1023 { state.forgetOldClaims(at: claim.at) }
            state.claims[folded] = claim
            return true
        }
    }

    func unclaim(_ id: String) { state.withLock { $0.claims[id.lowercased()] = nil } }

    /// Stations in the inbox or on their way there: all that nobody registered, and all of one
    /// neighbourhood.
    func waiting(near place: Neighbourhood, at now: Int64) -> (all: Int, near: Int) {
        state.withLock { state in
            state.forgetOldClaims(at: now)
            var (all, near) = (0, 0)
            for folded in state.pending.union(state.claims.keys) {
                let entry = state.entries[folded]
                // A registered one takes no place of the others, but whoever comes for many is counted.
                let isRegistered = entry.map {
                    $0.registration != .pending || $0.access.wasRegistered
                }
                if isRegistered != true { all += 1 }
                let from = entry?.access.cameFrom ?? state.claims[folded]?.from.text
                if from == place.text { near += 1 }
            }
            return (all, near)
        }
    }

    func remove(_ id: String) {
        let old = state.withLock { state in
            let folded = id.lowercased()
            state.pending.remove(folded)
            state.claims[folded] = nil
            return state.entries.removeValue(forKey: folded)
        }
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
