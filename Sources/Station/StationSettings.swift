import Charging
import OCPP
import Service

/// The station's configuration keys: what the operator wrote, else what the file says, else the
/// catalogue's standard value. A key without any of them does not exist here.
package final class StationSettings: Sendable {
    package typealias Meaning = SettingsCatalogue.Meaning

    private let catalogue: SettingsCatalogue
    let defaults: [Meaning: String]
    /// What only the configuration file says of the connectors.
    private let rules: ConnectorRules
    private let written: Lock<[String: String]>

    /// Kept with the credentials and never here: `StationUpkeep` writes them.
    private static let credentials: Set<Meaning> = [.securityProfile, .basicAuthPassword]

    package init(
        catalogue: SettingsCatalogue, defaults: [Meaning: String], written: [String: String],
        rules: ConnectorRules = ConnectorRules()
    ) {
        self.rules = rules
        self.catalogue = catalogue
        let connectors = defaults[.connectorCount].flatMap { Int($0) } ?? 0
        self.defaults = Self.bounds.merging([
            .phaseRotation: Self.unknownRotation(connectors: connectors),
            .phaseRotationMaximum: String(connectors + 1),
        ]) { $1 }.merging(defaults) { $1 }
        self.written = Lock([:])
        // A value of an older program that no longer fits must not come back to life; a number beyond a
        // range that has become narrower is its nearest end.
        for (key, value) in written {
            // An older program took 0, with which nothing ever started: one second would be no better.
            if catalogue[key: key]?.meaning == .connectionTimeoutSeconds, Int(value) == 0 {
                continue
            }
            let fitting = catalogue.nearest(to: value, for: key)
            if case .accepted(let tidy, _) = verdict(on: fitting, for: key) { hold(tidy, for: key) }
        }
    }

    package func text(_ meaning: Meaning) -> String? {
        guard let definition = catalogue[meaning] else { return defaults[meaning] }
        return value(of: definition)
    }

    /// What a key means here; nil for one that has no meaning or is not offered.
    func meaning(of key: String) -> Meaning? {
        guard let definition = catalogue[key: key], value(of: definition) != nil else { return nil }
        return definition.meaning
    }

    package func bool(_ meaning: Meaning) -> Bool { text(meaning) == "true" }

    package func int(_ meaning: Meaning, else other: Int) -> Int {
        text(meaning).flatMap { Int($0) } ?? other
    }

    private func value(of definition: SettingsCatalogue.Definition) -> String? {
        if let value = written.withLock({ $0[definition.key.lowercased()] }) { return value }
        return definition.meaning.flatMap { defaults[$0] } ?? definition.standard
    }

    /// Answers GetConfiguration; no keys asks for all. OCPP 1.6 §5.8.
    package func answer(to keys: [String]) -> CommandAnswer {
        guard !keys.isEmpty else {
            return .settings(catalogue.definitions.compactMap(setting), unknown: [])
        }
        var known: [Setting] = []
        var unknown: [String] = []
        for key in keys {
            if let definition = catalogue[key: key], let found = setting(definition) {
                known.append(found)
            } else {
                unknown.append(key)
            }
        }
        return .settings(known, unknown: unknown)
    }

    private func setting(_ definition: SettingsCatalogue.Definition) -> Setting? {
        guard let value = value(of: definition) else { return nil }
        switch definition.access {
        case .readOnly: return Setting(key: definition.key, value: value, isReadOnly: true)
        case .readWrite: return Setting(key: definition.key, value: value, isReadOnly: false)
        case .writeOnly: return Setting(key: definition.key, value: nil, isReadOnly: false)
        }
    }

    /// What a write comes to; the caller persists what is accepted and then calls `hold`.
    package func verdict(on value: String, for key: String) -> SettingsCatalogue.Verdict {
        guard let definition = catalogue[key: key], self.value(of: definition) != nil else {
            return .notSupported
        }
        let verdict = catalogue.verdict(on: value, for: key)
        guard let meaning = definition.meaning else { return verdict }
        if Self.credentials.contains(meaning) { return .rejected }
        if case .accepted(let tidy, _) = verdict, fault(in: tidy, for: meaning) != nil {
            return .rejected
        }
        return verdict
    }

    /// A key as the catalogue spells it: two spellings must not become two rows.
    func name(of key: String) -> String { catalogue[key: key]?.key ?? key }

    package func hold(_ value: String, for key: String) {
        written.withLock { $0[key.lowercased()] = value }
    }

    /// What the settings mean for a connector's machine.
    package var connectorRules: ConnectorRules {
        var rules = rules
        rules.connectionTimeoutMilliseconds = milliseconds(.connectionTimeoutSeconds, 60)
        rules.sampleIntervalMilliseconds = milliseconds(.meterSampleIntervalSeconds, 60)
        rules.minimumStatusMilliseconds = milliseconds(.minimumStatusDurationSeconds, 0)
        rules.stopsOnDisconnect = bool(.stopOnVehicleDisconnect)
        rules.stopsOnInvalidToken = bool(.stopOnInvalidToken)
        rules.unlocksOnDisconnect = bool(.unlockOnVehicleDisconnect)
        rules.maximumEnergyOnInvalidToken = WattHours(
            Int64(int(.maximumEnergyOnInvalidTokenWh, else: 0)))
        return rules
    }

    private func milliseconds(_ meaning: Meaning, _ other: Int) -> Int64 {
        Int64(int(meaning, else: other)) * 1000
    }
}
