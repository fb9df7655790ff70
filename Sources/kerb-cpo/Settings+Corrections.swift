import CPO
import Charging
import Service

extension Settings {
    /// Reads what models do otherwise than OCPP has it, from the file that is named for it.
    mutating func readCorrections() throws(ConfigProblems) {
        guard let file = ocpp.correctionsFile else { return }
        // No variable of the environment means a model.
        house.corrections = try Configuration.load(
            file: file, environment: [:], Self.readCorrections
        ).value
    }

    /// `models`, one item each; the first that fits a station counts.
    static func readCorrections(_ top: ConfigSection) -> [ModelCorrection] {
        top.list("models", atMost: 500, about: "models that need a correction", correction)
    }

    private static func correction(_ section: ConfigSection) -> ModelCorrection {
        var made = ModelCorrection(
            vendor: section.textOrNil(
                "vendor", about: "as the boot tells it; * at the end: any rest"),
            model: section.textOrNil("model", about: "the same"),
            firmware: section.textOrNil("firmware", about: "the same"),
            why: section.text("why", about: "what it does, and how that is known"),
            samples: section.list(
                "samples", atMost: 50, about: "one measurand each", sample),
            registersTimes: Int64(
                section.int(
                    "registersTimes", default: 1, in: 1...1000,
                    about: "for the registers of start and stop: 1000 where kWh are told")),
            tagSuffixFrom: section.textOrNil(
                "tagSuffixFrom", about: "from its last place on a tag says something else"),
            isCluster: section.bool(
                "cluster", default: false, about: "several chargers behind one id"))
        if made.vendor == nil, made.model == nil, !section.isSchema {
            section.problem(
                "vendor",
                "`vendor` or `model` must say which chargers this is for; * is all of them")
        }
        if made.tagSuffixFrom?.isEmpty ?? false {
            section.problem("tagSuffixFrom", "must not be empty; leave the key out")
        }
        for word in section.texts(
            "sessionRegister", about: "where energy counts since the charge began")
        {
            guard let place = ModelCorrection.SessionRegister(rawValue: word) else {
                let known = ModelCorrection.SessionRegister.allCases.map(\.rawValue)
                section.problem(
                    "sessionRegister",
                    "does not know \(word); it knows \(known.joined(separator: ", "))"
                )
                continue
            }
            made.sessionRegister.insert(place)
        }
        return made
    }

    private static func sample(_ section: ConfigSection) -> ModelCorrection.Sample {
        let times = section.decimal(
            "times", default: Decimal(1), about: "what its values are multiplied by")
        if times.scale > 6 || times <= .zero || times > Decimal(1_000_000) {
            section.problem(
                "times", "must be above 0, at most 1000000, with at most 6 digits after the point")
        }
        let readAs = section.textOrNil("readAs", about: "the measurand that it really is")
        let other = readAs.flatMap { Measurand(rawValue: $0) }
        if readAs != nil, other == nil {
            section.problem("readAs", "must be a measurand of OCPP 1.6 §7.31, like Current.Import")
        }
        return ModelCorrection.Sample(
            section.choice("measurand", about: "as OCPP 1.6 §7.31 spells it"), readAs: other,
            times: times,
            ignoresPhase: section.bool(
                "ignoresPhase", default: false,
                about: "a phase is named, and the value is the sum of all"))
    }
}
