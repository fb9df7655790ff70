import CPO
import Charging
import SQL
import Service

/// A station's local list as the operator sees it.
package struct LocalListStatus: Hashable, Sendable {
    package enum State: String, Hashable, Sendable {
        /// Not kept here.
        case off
        case inStep
        /// Still to be sent, because tokens changed or the station is not there.
        case outOfStep
        case notSupported
        case disabled
        case failed
    }

    package var state: State
    /// Decided for this station; nil: as the configuration says.
    package var isKept: Bool?
    package var version: Int?
    package var entries: Int
    /// The registry has more tokens than the station can hold.
    package var isCut: Bool
    /// Why it is not in step, and what to do.
    package var detail: String?
    package var changedAt: Timestamp?
    package var nextTryAt: Timestamp?
    /// The station's cache has to be cleared as soon as it is there.
    package var awaitsClearCache: Bool
}

extension CentralSystem {
    package func localList(of station: String) -> LocalListStatus {
        upkeep.status(of: station)
    }

    /// Decides whether a station's local list is kept; nil: as the configuration says. What it holds
    /// then is compared at once, if it is there.
    ///
    /// - Parameter note: writes the audit line, in the transaction of the change.
    /// - Returns: false for a station that is not registered.
    package func keepLocalList(
        _ isKept: Bool?, of station: String, note: @escaping @Sendable (Transaction) throws -> Void
    ) async throws -> Bool {
        let known = try await house.write { [house] transaction -> String? in
            guard let record = try house.stations.station(station, in: transaction) else {
                return nil
            }
            try LocalListRecord.keep(isKept, for: record.id, in: transaction)
            try note(transaction)
            return record.id
        }
        guard let known else { return false }
        upkeep.keep(isKept, known)
        return true
    }
}

extension TokenUpkeep {
    func keep(_ isKept: Bool?, _ station: String) {
        let key = station.lowercased()
        state.withLock { state in
            state.records[key, default: LocalListRecord(station: station)].isKept = isKept
            state.records[key]?.nextTryAt = nil
            state.doubt(key)
            state.areTokensStale = true
            // A person waits for it.
            state.up[key]?.from = house.clock.monotonicMilliseconds
        }
        wake()
    }

    func status(of station: String) -> LocalListStatus {
        let key = station.lowercased()
        return state.withLock { state in
            let record = state.records[key]
            var status = LocalListStatus(
                state: .outOfStep, isKept: record?.isKept, version: record?.version,
                entries: record?.entries ?? 0, isCut: record?.isCut ?? false,
                detail: record?.detail, changedAt: record?.changedAt,
                nextTryAt: record?.nextTryAt, awaitsClearCache: state.caches[key] != nil)
            guard record?.isKept ?? settings.keepsLocalLists else {
                status.state = .off
                return status
            }
            guard let record else { return status }
            switch record.state {
            case .notSupported: status.state = .notSupported
            case .disabled: status.state = .disabled
            case .failed: status.state = .failed
            case .open: break
            case .sent:
                let wanted = state.contents[record.limits]?.digest
                let isSame = record.content != nil && (wanted ?? record.content) == record.content
                status.state = isSame ? .inStep : .outOfStep
            }
            return status
        }
    }
}
