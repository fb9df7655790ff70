import Charging
import OCPP
import Service

/// The station's configuration keys: what the operator wrote, else what the file says, else the
/// catalogue's standard value. A key without any of them does not exist here.
package final class StationSettings: Sendable {
    package typealias Meaning = SettingsCatalogue.Meaning

    private let catalogue: SettingsCatalogue
    private let defaults: [Meaning: String]
    /// What only the configuration file says of the connectors.
    private let rules: ConnectorRules
    private let written: Lock<[String: String]>

    /// Keys that exist in the catalogue but change nothing here: they are not offered.
    private static let unsupported: Set<Meaning> = [
        .clockAlignedIntervalSeconds, .measurandsAligned, .measurandsStopAligned,
        .measurandsStopSampled, .resetRetries,
    ]
    /// Belong to the configuration file: shown, not written.
    private static let fileOnly: Set<Meaning> = [.webSocketPingSeconds]
    /// Kept with the credentials and never here: `StationUpkeep` writes them.
    private static let credentials: Set<Meaning> = [.securityProfile, .basicAuthPassword]

    package init(
        catalogue: SettingsCatalogue, defaults: [Meaning: String], written: [String: String],
        rules: ConnectorRules = ConnectorRules()
    ) {
        self.rules = rules
        self.catalogue = catalogue
        self.defaults = defaults
        // A value of an older program that no longer fits must not come back to life.
        let fitting = written.filter { key, value in
            if case .accepted = catalogue.verdict(on: value, for: key) { true } else { false }
        }
        self.written = Lock(
            Dictionary(
                fitting.map { ($0.key.lowercased(), $0.value) }, uniquingKeysWith: { $1 }))
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

    /// The measurands of a comma list, those we know.
    package func measurands(_ meaning: Meaning) -> [Measurand] {
        (text(meaning) ?? "").split(separator: ",").compactMap { Measurand(rawValue: String($0)) }
    }

    private func value(of definition: SettingsCatalogue.Definition) -> String? {
        if let meaning = definition.meaning, Self.unsupported.contains(meaning) { return nil }
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
        let isFileOnly = definition.meaning.map(Self.fileOnly.contains) ?? false
        switch definition.access {
        case .readOnly: return Setting(key: definition.key, value: value, isReadOnly: true)
        case .readWrite: return Setting(key: definition.key, value: value, isReadOnly: isFileOnly)
        case .writeOnly: return Setting(key: definition.key, value: nil, isReadOnly: false)
        }
    }

    /// What a write comes to; the caller persists what is accepted and then calls `hold`.
    package func verdict(on value: String, for key: String) -> SettingsCatalogue.Verdict {
        guard let definition = catalogue[key: key], self.value(of: definition) != nil else {
            return .notSupported
        }
        if let meaning = definition.meaning,
            Self.fileOnly.contains(meaning) || Self.credentials.contains(meaning)
        {
            return .rejected
        }
        return catalogue.verdict(on: value, for: key)
    }

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
        return rules
    }

    private func milliseconds(_ meaning: Meaning, _ other: Int) -> Int64 {
        Int64(int(meaning, else: other)) * 1000
    }
}
