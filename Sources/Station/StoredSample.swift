import Charging
import JSON

/// A meter snapshot as a line of the journal, and as the samples of a MeterValues.
package struct StoredSample: Hashable, Sendable {
    var snapshot: MeterSnapshot
    var context: ReadingContext

    var text: String {
        JSONValue.members([
            "at": .number(snapshot.at.milliseconds),
            "context": .string(context.rawValue),
            "register": .number(snapshot.register.value),
            "power": snapshot.power.map { .number($0.value) },
            "currents": .array(snapshot.currents.map { .number($0.milliamperes) }),
            "voltages": .array(snapshot.voltages.map { .number($0.millivolts) }),
        ]).text
    }

    package init(_ snapshot: MeterSnapshot, _ context: ReadingContext) {
        self.snapshot = snapshot
        self.context = context
    }

    /// nil for a line that cannot be read: the sample is lost, the charge is not.
    package init?(text: String) {
        // A damaged line is no error of the caller's; it is left out.
        guard let value = try? JSONValue(parsing: text), let at = value["at"]?.int64,
            let register = value["register"]?.int64,
            let context = value["context"]?.string.flatMap(ReadingContext.init(rawValue:))
        else { return nil }
        self.context = context
        snapshot = MeterSnapshot(
            register: WattHours(register),
            currents: (value["currents"]?.array ?? []).compactMap {
                $0.int64.map { Amperes(milliamperes: $0) }
            },
            voltages: (value["voltages"]?.array ?? []).compactMap {
                $0.int64.map { Volts(millivolts: $0) }
            },
            power: value["power"]?.int64.map { Watts($0) }, askedAt: 0,
            at: Timestamp(milliseconds: at))
    }

    /// The measurands that were asked for and measured, at the moment they were.
    func reading(of measurands: [Measurand]) -> MeterReading {
        MeterReading(at: snapshot.at, samples: measurands.flatMap(samples))
    }

    private func samples(of measurand: Measurand) -> [MeterSample] {
        switch measurand {
        case .energyImport:
            [MeterSample(measurand, Decimal(snapshot.register.value), context: context)]
        case .powerImport:
            snapshot.power.map { [MeterSample(measurand, Decimal($0.value), context: context)] }
                ?? []
        case .currentImport:
            snapshot.currents.enumerated().map { index, current in
                MeterSample(
                    measurand, current.decimal.reduced, phase: "L\(index + 1)", context: context)
            }
        case .voltage:
            snapshot.voltages.enumerated().map { index, volts in
                MeterSample(
                    measurand, volts.decimal.reduced, phase: "L\(index + 1)-N", context: context)
            }
        case .energyExport, .powerOffered, .currentOffered, .frequency, .powerFactor,
            .temperature, .stateOfCharge:
            []
        }
    }
}
