import CPO
import Charging
import SQL
import Service

// What stations shall know of tokens, and which caches have to forget some.
extension TokenUpkeep {
    /// The tokens for all lists, once for all stations; nothing is read where no list is kept.
    func readTokens() async {
        let limit = state.withLock { state -> Int? in
            guard state.areTokensStale else { return nil }
            state.areTokensStale = false
            let kept = state.records.values.filter { $0.isKept ?? settings.keepsLocalLists }
            guard settings.keepsLocalLists || !kept.isEmpty else { return 0 }
            return kept.map(\.limits.mostEntries).max() ?? LocalListLimits.careful.mostEntries
        }
        guard let limit else { return }
        do {
            try await readCaches()
            if limit > 0 { try await readTokens(limit: limit) }
        } catch {
            house.log.warning("tokens not read for stations", ["error": "\(error)"])
            state.withLock { $0.areTokensStale = true }
        }
    }

    private func readTokens(limit: Int) async throws {
        // One more than fits tells that it does not fit.
        let tokens = try await house.tokens.listable(at: house.clock.now, limit: limit + 1)
        state.withLock { state in
            state.tokens = tokens
            state.tokensLimit = limit
            let limits = Set(state.records.values.map(\.limits)).union([.careful])
            state.contents = [:]
            for one in limits { state.contents[one] = LocalListContent(tokens, fitting: one) }
        }
    }

    /// The list as a station with these limits shall have it.
    func content(fitting limits: LocalListLimits) async throws -> LocalListContent {
        if state.withLock({ $0.tokensLimit < limits.mostEntries }) {
            try await readTokens(limit: limits.mostEntries)
        }
        return state.withLock { state in
            if let ready = state.contents[limits] { return ready }
            let content = LocalListContent(state.tokens, fitting: limits)
            state.contents[limits] = content
            return content
        }
    }

    func readCaches() async throws {
        let due = try await house.tokens.cachesToClear()
        state.withLock { state in
            for one in due {
                let key = one.station.lowercased()
                guard state.caches[key]?.since != one.since else { continue }
                state.caches[key] = (one.since, 0)
            }
        }
    }

    /// OCPP 1.6 §5.4. A station without a cache, or that cannot say, has nothing to forget.
    func clearCache(of station: String, since: Timestamp) async {
        let key = station.lowercased()
        guard let answer = await call(.clearCache, station) else {
            let from = house.clock.monotonicMilliseconds + Self.retrySeconds * 1000
            state.withLock { state in
                if state.caches[key]?.since == since { state.caches[key]?.from = from }
            }
            return
        }
        do {
            try await house.write { [tokens = house.tokens] transaction in
                try tokens.cacheCleared(of: station, since: since, in: transaction)
            }
            state.withLock { state in
                if state.caches[key]?.since == since { state.caches[key] = nil }
            }
            house.log.info("station cache cleared", ["station": station, "answer": answer.word])
        } catch {
            house.log.error("cleared cache not noted", ["station": station, "error": "\(error)"])
        }
    }
}
