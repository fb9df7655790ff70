import Charging
import OCPP
import Service

/// Configuration keys: asked, written, and taken into effect. OCPP 1.6 §5.3, §5.8, §9.
extension StationAgent {
    func answer(to keys: [String]) throws(CallError) -> CommandAnswer {
        let most = settings.int(.maximumKeysPerRead, else: 100)
        guard keys.count <= most else {
            throw CallError(.occurrenceViolation, "more keys than GetConfigurationMaxKeys")
        }
        return settings.answer(to: keys)
    }

    func change(_ key: String, _ value: String) async -> CommandAnswer {
        if let answer = await changeSecurity(key, value) { return answer }
        switch settings.verdict(on: value, for: key) {
        case .notSupported: return .status("NotSupported")
        case .rejected: return .status("Rejected")
        case .accepted(let tidy, let needsReboot):
            do {
                try await journal.set(settings.name(of: key), to: tidy)
            } catch {
                log.error("journal not written", ["error": String(describing: error)])
                return .status("Rejected")
            }
            settings.hold(tidy, for: key)
            await applySettings()
            return .status(needsReboot ? "RebootRequired" : "Accepted")
        }
    }

    /// Hands the settings to whom they concern; those that are read when they are needed need none.
    func applySettings() async {
        journal.stopDataRules.withLock {
            $0 = .init(
                keepsSampled: !settings.choices(.measurandsStopSampled).isEmpty,
                keepsAligned: !settings.choices(.measurandsStopAligned).isEmpty)
        }
        for connector in connectors { await connector.take(.rules(settings.connectorRules)) }
        await link?.ping(everySeconds: settings.int(.webSocketPingSeconds, else: 60))
    }
}
