import Charging
import OCPP

extension StationSettings {
    /// Keys whose value is a bound of this program. OCPP 1.6 §9.
    static let bounds: [Meaning: String] = {
        let measurands = String(measurable.count)
        return [
            .measurandsAlignedMaximum: measurands,
            .measurandsSampledMaximum: measurands,
            .measurandsStopAlignedMaximum: measurands,
            .measurandsStopSampledMaximum: measurands,
            .supportedProfilesMaximum: "6",
            .localListMaximum: String(JournalLimits().localTokens),
            .localListUpdateMaximum: String(JournalLimits().localListUpdate),
        ]
    }()

    /// The rotation of every connector and the station until somebody says how they are wired.
    static func unknownRotation(connectors: Int) -> String {
        (0...max(0, connectors)).map { "\($0).Unknown" }.joined(separator: ",")
    }

    /// What the meters tell; others would be promised and never sent.
    static let measurable: [Measurand] = [.energyImport, .powerImport, .currentImport, .voltage]

    /// What the catalogue's kinds cannot say about a value; nil where it will do.
    func fault(in value: String, for meaning: Meaning) -> String? {
        switch meaning {
        case .measurandsAligned, .measurandsSampled, .measurandsStopAligned,
            .measurandsStopSampled:
            Self.fault(inMeasurands: value)
        case .phaseRotation: fault(inRotation: value)
        default: nil
        }
    }

    private static func fault(inMeasurands value: String) -> String? {
        let names = value.split(separator: ",")
        guard Set(names).count == names.count else { return "a measurand stands twice" }
        let choices = MeasurandChoice.list(value)
        guard choices.count == names.count,
            choices.allSatisfy({ measurable.contains($0.measurand) })
        else { return "a measurand is not measured here" }
        return Set(choices.map(\.measurand)).count <= measurable.count ? nil : "too many"
    }

    private static let rotations: Set<String> = [
        "NotApplicable", "Unknown", "RST", "RTS", "SRT", "STR", "TRS", "TSR",
    ]

    /// `0.RST,1.STR`: each connector at most once, 0 is the station's own supply.
    private func fault(inRotation value: String) -> String? {
        var seen: Set<Int> = []
        for entry in value.split(separator: ",") {
            let parts = entry.split(separator: ".", maxSplits: 1)
            guard parts.count == 2, let connector = Int(parts[0]),
                (0...int(.connectorCount, else: 0)).contains(connector),
                Self.rotations.contains(String(parts[1]))
            else { return "not as 0.RST,1.STR" }
            guard seen.insert(connector).inserted else { return "a connector stands twice" }
        }
        return nil
    }

    /// Which of the supply's phases lie on a connector's L1, L2 and L3; nil where nobody said so.
    package func rotation(of connector: ConnectorNumber) -> String? {
        for entry in (text(.phaseRotation) ?? "").split(separator: ",") {
            let parts = entry.split(separator: ".", maxSplits: 1)
            guard parts.count == 2, Int(parts[0]) == connector else { continue }
            let rotation = String(parts[1])
            return rotation == "Unknown" || rotation == "NotApplicable" ? nil : rotation
        }
        return nil
    }

    /// The measurands of a key, those we know.
    func choices(_ meaning: Meaning) -> [MeasurandChoice] {
        MeasurandChoice.list(text(meaning) ?? "")
    }
}
