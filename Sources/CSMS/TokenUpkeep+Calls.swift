import CPO
import Charging
import JSON
import SQL
import Service
import Web

// Calls to stations, and what is kept of their answers.
extension TokenUpkeep {
    enum Reply {
        case answer(CommandAnswer)
        /// It answered that it does not know the call.
        case unknown(String)

        var word: String {
            switch self {
            case .answer(.status(let word)): word
            case .answer: "answered"
            case .unknown(let code): code
            }
        }
    }

    /// nil: no answer; nobody knows what the station did.
    func call(_ command: StationCommand, _ station: String) async -> Reply? {
        guard let link = links[station] else { return nil }
        do throws(StationLinkError) {
            return .answer(
                try await link.send(
                    command, deadlineSeconds: Self.callSeconds, on: link.connection.shard))
        } catch {
            switch error {
            case .refused(let code, _): return .unknown(code)
            case .notSupported: return .unknown("NotSupported")
            case .notUnderstood(let text): return .unknown(text)
            case .offline, .timedOut, .lost, .busy, .cancelled, .replaced: return nil
            }
        }
    }

    /// Keeps what is known now, in memory and in its row; the operator's switch stays as it is.
    func store(_ record: LocalListRecord, _ content: LocalListContent? = nil) async {
        let now = house.clock.now
        state.withLock { state in
            var known = record
            known.isKept = state.records[record.station.lowercased()]?.isKept
            state.records[record.station.lowercased()] = known
        }
        do {
            try await house.write { [house] transaction in
                guard try house.stations.station(record.station, in: transaction) != nil else {
                    return
                }
                if let content { try LocalListRecord.keep(content, in: transaction) }
                try record.store(in: transaction)
                if content != nil { try LocalListRecord.dropUnused(in: transaction) }
                try house.journal.append(
                    .stationLocalList, record.station, ["state": .string(record.state.rawValue)],
                    at: now, in: transaction)
            }
        } catch {
            house.log.error(
                "local list not noted", ["station": record.station, "error": "\(error)"])
        }
    }
}

extension JournalLine.Kind {
    /// What is known of a station's local list changed. Subject: the station's id. Body: state.
    package static let stationLocalList: JournalLine.Kind = "station.localList"
}
