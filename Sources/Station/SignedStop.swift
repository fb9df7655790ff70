import Charging
import HAL
import JSON

/// A meter's signed record on its way to the operator: text in the journal beside the stop it belongs
/// to, then a sample of that stop. It is carried and never read.
enum SignedStop {
    /// The journal's line.
    static func text(_ record: SignedRecord) -> String {
        JSONValue.members(["format": .string(record.format), "record": .string(record.text)]).text
    }

    /// The stop's reading with the record in it; none where no meter signed, or the line is damaged:
    /// the bill does not depend on it.
    static func readings(
        _ text: String?, register: WattHours, at: Timestamp
    ) -> [MeterReading] {
        // A damaged line is no error of the caller's.
        guard let text, let line = try? JSONValue(parsing: text),
            let record = line["record"]?.string
        else { return [] }
        let sample = MeterSample(
            quantity: .known(.energyImport), value: Decimal(register.value),
            context: .transactionEnd, location: "Outlet", signed: record)
        return [MeterReading(at: at, samples: [sample])]
    }
}
