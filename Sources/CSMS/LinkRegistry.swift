import Charging
import Service

/// The newest socket of each station. An old socket's end never takes the new one away.
final class LinkRegistry<Link: Sendable>: Sendable {
    private struct Entry {
        var link: Link
        var epoch: Int64
        var address: String
    }

    private struct State {
        var entries: [String: Entry] = [:]
        /// Grows with every socket of any station, so that it grows for each.
        var epoch: Int64 = 0
        var replacements: [String: [Timestamp]] = [:]
    }

    private let state = Lock(State())

    /// A number that is newer than every one given before.
    func nextEpoch() -> Int64 {
        state.withLock { state in
            state.epoch += 1
            return state.epoch
        }
    }

    /// Puts a link in its station's place at once.
    ///
    /// - Returns: the link that stood there; the caller closes it and waits for nothing.
    func attach(
        _ station: String, _ link: Link, epoch: Int64, address: String, at now: Timestamp
    ) -> Link? {
        let key = station.lowercased()
        return state.withLock { state in
            let old = state.entries[key]
            // A socket that opened before the present one but was late here stays out.
            if let old, old.epoch > epoch { return link }
            state.entries[key] = Entry(link: link, epoch: epoch, address: address)
            if let old, old.address != address {
                let since = now.advanced(bySeconds: -300)
                state.replacements[key, default: []].removeAll { $0 < since }
                state.replacements[key, default: []].append(now)
            }
            return old?.link
        }
    }

    /// Removes the link only if it is still the station's newest.
    @discardableResult
    func detach(_ station: String, epoch: Int64) -> Bool {
        let key = station.lowercased()
        return state.withLock { state in
            guard state.entries[key]?.epoch == epoch else { return false }
            state.entries[key] = nil
            return true
        }
    }

    func isCurrent(_ station: String, epoch: Int64) -> Bool {
        state.withLock { $0.entries[station.lowercased()]?.epoch == epoch }
    }

    subscript(station: String) -> Link? {
        state.withLock { $0.entries[station.lowercased()]?.link }
    }

    var count: Int { state.withLock { $0.entries.count } }

    var all: [Link] { state.withLock { $0.entries.values.map(\.link) } }

    /// Forgets what was counted, because the operator looked after it.
    func forgetReplacements(of station: String) {
        state.withLock { $0.replacements[station.lowercased()] = nil }
    }

    /// How often the station changed its address in the last five minutes.
    func replacements(of station: String, at now: Timestamp) -> Int {
        let since = now.advanced(bySeconds: -300)
        return state.withLock { state in
            state.replacements[station.lowercased()]?.count { $0 >= since } ?? 0
        }
    }
}
