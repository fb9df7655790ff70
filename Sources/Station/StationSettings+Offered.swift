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

    /// The rotation of every connector and the station where nobody says how they are wired.
    static func unknownRotation(connectors: Int) -> String {
        (0...max(0, connectors)).map { "\($0).Unknown" }.joined(separator: ",")
    }

    /// ConnectorPhaseRotation as the connectors are wired. Connector 0 is the supply, after which they
    /// are named; what has one phase has no rotation.
    package static func rotation(
        phases: Int, wiring: [ConnectorNumber: PhaseWiring]
    ) -> String {
        let supply = phases == 3 ? PhaseWiring.rst.rawValue : "NotApplicable"
        let connectors = wiring.sorted { $0.key < $1.key }.map { number, wiring in
            "\(number).\(wiring.phases.count == 3 ? wiring.rawValue : "NotApplicable")"
        }
        return (["0.\(supply)"] + connectors).joined(separator: ",")
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

    /// How the connectors are wired stands in the configuration file alone, for fuses depend on it: the
    /// operator may confirm it, and change nothing. OCPP 1.6 §9.1 ConnectorPhaseRotation.
    private func fault(inRotation value: String) -> String? {
        let wired = Set((defaults[.phaseRotation] ?? "").split(separator: ","))
        let told = value.split(separator: ",")
        return told.count == wired.count && Set(told) == wired
            ? nil : "`wiring` in the configuration file says otherwise"
    }

    /// The measurands of a key, those we know.
    func choices(_ meaning: Meaning) -> [MeasurandChoice] {
        MeasurandChoice.list(text(meaning) ?? "")
    }
}
