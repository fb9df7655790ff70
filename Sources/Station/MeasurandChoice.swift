import Charging

/// A measurand that the operator wants told: of all phases, or of one as in `Voltage.L1`.
/// OCPP 1.6 §9.1.
struct MeasurandChoice: Hashable, Sendable {
    var measurand: Measurand
    var phase: String?

    private static let phases = [
        "L1", "L2", "L3", "N", "L1-N", "L2-N", "L3-N", "L1-L2", "L2-L3", "L3-L1",
    ]

    /// nil for a measurand that no meter of ours tells.
    init?(_ text: String) {
        var name = text
        if let phase = Self.phases.first(where: { text.hasSuffix("." + $0) }) {
            name = String(text.dropLast(phase.count + 1))
            self.phase = phase
        }
        guard let measurand = Measurand(rawValue: name) else { return nil }
        self.measurand = measurand
    }

    /// A comma list as the keys hold it; what nobody measures is left out.
    static func list(_ text: String) -> [MeasurandChoice] {
        text.split(separator: ",").compactMap { MeasurandChoice(String($0)) }
    }

    /// `L1` means the voltage from L1 to N, too.
    func fits(_ sample: MeterSample) -> Bool {
        guard let phase else { return true }
        return sample.phase == phase || sample.phase == phase + "-N"
    }
}

extension StoredSample {
    /// What was asked for and measured, at the moment it was.
    func reading(of choices: [MeasurandChoice]) -> MeterReading {
        MeterReading(
            at: snapshot.at,
            samples: choices.flatMap { choice in
                reading(of: [choice.measurand]).samples.filter(choice.fits)
            })
    }
}
