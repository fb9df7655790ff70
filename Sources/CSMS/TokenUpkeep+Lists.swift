import CPO
import Charging
import Service

// Bringing one station's local list in step. OCPP 1.6 §5.10, §5.16.

extension TokenUpkeep {
    /// The keys that say what a list may hold. OCPP 1.6 §9.1, §9.2.
    private static let keys = [
        "LocalAuthListEnabled", "LocalAuthListMaxLength", "LocalPreAuthorize",
        "SendLocalListMaxLength",
    ]

    /// Compares the version once after each boot, then sends the differences, or the whole list where
    /// nobody knows what the station holds. A refusal is followed by the whole list once, then by a
    /// pause.
    func bringListInStep(of station: String) async {
        let key = station.lowercased()
        let (known, isVerified) = state.withLock { state in
            state.steady.insert(key)
            return (
                state.records[key] ?? LocalListRecord(station: station),
                state.verified.contains(key)
            )
        }
        var record = known
        // Tokens changed, and the station was in step before.
        if isVerified, record.state == .sent { return await sendWanted(record) }
        record.detail = nil
        record.nextTryAt = nil
        guard await readLimits(&record) else { return await settle(record, isVerified: true) }
        guard let told = await readVersion(&record) else {
            return await settle(record, isVerified: record.state == .notSupported)
        }
        if told != record.version { record.content = nil }
        record.version = told
        await sendWanted(record)
    }

    private func sendWanted(_ record: LocalListRecord) async {
        var record = record
        do {
            await send(try await content(fitting: record.limits), &record)
        } catch {
            fail(&record, "the tokens could not be read: \(error)")
            await settle(record, isVerified: false)
        }
    }

    /// False where the station says that it does not use a list.
    private func readLimits(_ record: inout LocalListRecord) async -> Bool {
        // One that answers no question of its settings may take a list all the same.
        guard
            case .answer(.settings(let settings, _)) = await call(
                .getSettings(keys: Self.keys), record.station)
        else { return true }
        func value(_ key: String) -> String? {
            settings.first { $0.key.lowercased() == key.lowercased() }?.value
        }
        record.limits = LocalListLimits(
            mostEntries: value("LocalAuthListMaxLength").flatMap { Int($0) }
                ?? LocalListLimits.careful.mostEntries,
            mostPerMessage: value("SendLocalListMaxLength").flatMap { Int($0) }
                ?? LocalListLimits.careful.mostPerMessage,
            looksWhileOnline: value("LocalPreAuthorize")?.lowercased() == "true")
        guard value("LocalAuthListEnabled")?.lowercased() == "false" else { return true }
        record.state = .disabled
        record.content = nil
        record.detail =
            "LocalAuthListEnabled is false there; set it to true, or keep no list for this station"
        return false
    }

    /// nil: the station has no lists, or did not answer.
    private func readVersion(_ record: inout LocalListRecord) async -> Int? {
        switch await call(.getLocalListVersion, record.station) {
        case .answer(.listVersion(let version)) where version >= 0: return version
        case .answer, .unknown:
            record.state = .notSupported
            record.content = nil
            record.detail = "the station says that it has no local list"
            return nil
        case nil:
            fail(&record, "no answer to GetLocalListVersion")
            return nil
        }
    }

    private func send(_ wanted: LocalListContent, _ record: inout LocalListRecord) async {
        // Version 0 is an empty list.
        var held = record.version == 0 ? LocalListContent(entries: []) : await held(by: record)
        for attempt in 1...2 {
            let updates = LocalListPlan.updates(
                from: held?.entries, to: wanted.entries, above: record.version ?? 0,
                most: record.limits.mostPerMessage)
            // From the first message until the last was taken nobody knows what the station holds.
            if !updates.isEmpty, record.content != nil {
                record.content = nil
                await store(record)
            }
            switch await send(updates, &record) {
            case .taken: return await settle(inStep: record, wanted)
            case .stopped: return await settle(record, isVerified: record.state == .notSupported)
            case .refused(let word):
                held = nil
                if attempt == 2 { fail(&record, "the whole list was answered \(word)") }
            }
        }
        await settle(record, isVerified: true)
    }

    private enum Sent {
        case taken
        /// Once more, whole.
        case refused(String)
        /// No answer, or no lists there.
        case stopped
    }

    private func send(
        _ updates: [LocalListUpdate], _ record: inout LocalListRecord
    ) async -> Sent {
        for update in updates {
            switch await call(.sendLocalList(update), record.station) {
            case .answer(.status("Accepted")): record.version = update.version
            case .answer(.status("NotSupported")), .unknown("NotSupported"),
                .unknown("NotImplemented"):
                record.state = .notSupported
                record.detail = "the station takes no local list"
                return .stopped
            case .answer(.status("VersionMismatch")):
                // What it says now is what the next list has to be above.
                if let told = await readVersion(&record) { record.version = told }
                return .refused("VersionMismatch")
            case .answer(.status(let word)), .unknown(let word): return .refused(word)
            case .answer: return .refused("with something else")
            case nil:
                fail(&record, "no answer to SendLocalList")
                return .stopped
            }
        }
        return .taken
    }

    private func settle(inStep record: LocalListRecord, _ wanted: LocalListContent) async {
        var record = record
        record.state = .sent
        record.content = wanted.digest
        record.entries = wanted.entries.count
        record.isCut = wanted.isCut
        house.log.info(
            "local list in step",
            [
                "station": record.station, "version": record.version ?? 0,
                "entries": record.entries,
            ])
        await settle(record, wanted, isVerified: true)
    }

    private func settle(
        _ record: LocalListRecord, _ content: LocalListContent? = nil, isVerified: Bool
    ) async {
        var record = record
        record.changedAt = house.clock.now
        let key = record.station.lowercased()
        if !state.withLock({ $0.steady.contains(key) }) { record.nextTryAt = nil }
        await store(record, content)
        state.withLock { state in
            // What it said before a boot says nothing of after it.
            guard state.steady.remove(key) != nil else { return }
            if isVerified { state.verified.insert(key) }
        }
    }

    private func fail(_ record: inout LocalListRecord, _ detail: String) {
        record.state = .failed
        record.detail = detail
        record.nextTryAt = house.clock.now.advanced(bySeconds: Self.retrySeconds)
        house.log.warning("local list not taken", ["station": record.station, "reason": detail])
    }

    private func held(by record: LocalListRecord) async -> LocalListContent? {
        guard let digest = record.content else { return nil }
        do {
            return try await house.read { try LocalListRecord.content(digest, in: $0) }
        } catch {
            // Then the list goes out whole.
            return nil
        }
    }
}
