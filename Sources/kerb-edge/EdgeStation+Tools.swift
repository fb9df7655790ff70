import Charging
import JSON
import OCPP
import Service
import Station

extension EdgeStation {
    /// The page for technicians; nil where the configuration has none.
    var page: LocalPage? {
        guard let settings = settings.localPage else { return nil }
        return LocalPage(
            settings: settings, dataDirectory: self.settings.dataDirectory,
            startedAt: SystemClock().now, view: { await agent.view().json },
            powers: { await blackBox.powers($0) }, log: log)
    }

    /// The operator's keys in force; what can only be written is named without its value.
    var keysInForce: JSONValue { Self.keysInForce(keys) }

    static func keysInForce(_ keys: StationSettings) -> JSONValue {
        guard case .settings(let known, _) = keys.answer(to: []) else { return .null }
        return .array(
            known.map { setting in
                .members([
                    "key": .string(setting.key), "value": setting.value.map(JSONValue.string),
                    "readOnly": .bool(setting.isReadOnly),
                ])
            })
    }
}
