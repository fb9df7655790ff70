import Charging
import JSON
import OCPP

/// A charging profile and its schedule between wire and neutral words. OCPP 1.6 §7.8, §7.13, §7.14.
enum ChargingProfileWire {
    /// No station takes more; a longer list is cut, and the profile refused for it.
    static let mostPeriods = 2_000

    private static let purposes = Words<ChargingProfile.Purpose>([
        ("ChargePointMaxProfile", .stationMaximum), ("TxDefaultProfile", .transactionDefault),
        ("TxProfile", .transaction),
    ])
    private enum KindWord { case absolute, recurring, relative }
    private static let kinds = Words<KindWord>([
        ("Absolute", .absolute), ("Recurring", .recurring), ("Relative", .relative),
    ])
    private static let recurrences = Words<ChargingProfile.Recurrence>([
        ("Daily", .daily), ("Weekly", .weekly),
    ])
    static let units = Words<ChargingSchedule.Unit>([("A", .amperes), ("W", .watts)])
    static let purposeWords = purposes

    // MARK: Writing

    /// What 1.6 can carry of a profile: numbers in range, a number for the transaction.
    static func check(_ profile: ChargingProfile) throws(DialectError) {
        guard profile.flaw == nil else { throw .unfit(field: "csChargingProfiles") }
        if let transaction = profile.transaction, transaction.number == nil {
            throw .unfit(field: "transactionId")
        }
    }

    static func write(_ profile: ChargingProfile, _ writer: inout JSONWriter) {
        writer.object { w in
            w.member("chargingProfileId", profile.id)
            w.member("chargingProfileKind", word(profile.kind))
            w.member("chargingProfilePurpose", profile.purpose.rawValue)
            w.key("chargingSchedule")
            write(profile.schedule, &w)
            if case .recurring(let recurrence) = profile.kind {
                w.member("recurrencyKind", recurrence.rawValue)
            }
            w.member("stackLevel", profile.stackLevel)
            w.member("transactionId", ifAny: profile.transaction?.number)
            w.member("validFrom", ifAny: profile.validFrom)
            w.member("validTo", ifAny: profile.validTo)
        }
    }

    private static func word(_ kind: ChargingProfile.Kind) -> String {
        switch kind {
        case .absolute: "Absolute"
        case .recurring: "Recurring"
        case .relative: "Relative"
        }
    }

    static func write(_ schedule: ChargingSchedule, _ writer: inout JSONWriter) {
        writer.object { w in
            w.member("chargingRateUnit", schedule.unit.rawValue)
            w.key("chargingSchedulePeriod")
            w.array { w in
                for period in schedule.periods {
                    w.object { w in
                        w.key("limit")
                        w.decimal(Decimal(significand: Int128(period.tenths), scale: 1))
                        w.member("numberPhases", ifAny: period.phases)
                        w.member("startPeriod", period.start)
                    }
                }
            }
            w.member("duration", ifAny: schedule.durationSeconds)
            if let least = schedule.minimumRateTenths {
                w.key("minChargingRate")
                w.decimal(Decimal(significand: Int128(least), scale: 1))
            }
            w.member("startSchedule", ifAny: schedule.start)
        }
    }

    // MARK: Reading

    private struct Draft {
        var id: Int?
        var stackLevel: Int?
        var purpose: ChargingProfile.Purpose?
        var kind: KindWord?
        var recurrence: ChargingProfile.Recurrence?
        var transaction: Int?
        var validFrom: Timestamp?
        var validTo: Timestamp?
        var schedule: ChargingSchedule?
    }

    /// nil, with the fault kept, for an object that is no profile.
    @_lifetime(reader: copy reader)
    static func read(_ reader: inout JSONReader, _ fields: inout FieldReader) throws(JSONError)
        -> ChargingProfile?
    {
        var draft = Draft()
        let isObject = try fields.object(&reader, "chargingProfile") {
            r, key, f throws(JSONError) in
            try readMember(&r, key, &f, &draft)
        }
        guard isObject else { return nil }
        guard let id = draft.id, let stackLevel = draft.stackLevel, let purpose = draft.purpose,
            let word = draft.kind, let schedule = draft.schedule
        else {
            fields.fail(.missingField, "a charging profile lacks a required field")
            return nil
        }
        let kind: ChargingProfile.Kind
        switch word {
        case .absolute: kind = .absolute
        case .relative: kind = .relative
        case .recurring:
            guard let recurrence = draft.recurrence else {
                fields.fail(.missingField, "a recurring profile needs a recurrencyKind")
                return nil
            }
            kind = .recurring(recurrence)
        }
        return ChargingProfile(
            id: id, stackLevel: stackLevel, purpose: purpose, kind: kind,
            transaction: draft.transaction.map { .number($0) }, validFrom: draft.validFrom,
            validTo: draft.validTo, schedule: schedule)
    }

    @_lifetime(r: copy r)
    private static func readMember(
        _ r: inout JSONReader, _ key: JSONSlice, _ f: inout FieldReader, _ draft: inout Draft
    ) throws(JSONError) {
        if r.matches(key, "chargingProfileId") {
            draft.id = try f.integer(&r, "chargingProfileId")
        } else if r.matches(key, "stackLevel") {
            draft.stackLevel = try f.integer(&r, "stackLevel")
        } else if r.matches(key, "chargingProfilePurpose") {
            draft.purpose = try f.closed(&r, "chargingProfilePurpose", purposes)
        } else if r.matches(key, "chargingProfileKind") {
            draft.kind = try f.closed(&r, "chargingProfileKind", kinds)
        } else if r.matches(key, "recurrencyKind") {
            draft.recurrence = try f.closed(&r, "recurrencyKind", recurrences)
        } else if r.matches(key, "transactionId") {
            draft.transaction = try f.integer(&r, "transactionId")
        } else if r.matches(key, "validFrom") {
            draft.validFrom = try f.bindingTime(&r, "validFrom")
        } else if r.matches(key, "validTo") {
            draft.validTo = try f.bindingTime(&r, "validTo")
        } else if r.matches(key, "chargingSchedule") {
            draft.schedule = try readSchedule(&r, &f)
        } else {
            try f.unknown(&r)
        }
    }

    @_lifetime(reader: copy reader)
    static func readSchedule(_ reader: inout JSONReader, _ fields: inout FieldReader)
        throws(JSONError) -> ChargingSchedule?
    {
        var unit: ChargingSchedule.Unit?
        var schedule = ChargingSchedule(unit: .amperes, periods: [])
        let isObject = try fields.object(&reader, "chargingSchedule") {
            r, key, f throws(JSONError) in
            if r.matches(key, "chargingRateUnit") {
                unit = try f.closed(&r, "chargingRateUnit", units)
            } else if r.matches(key, "chargingSchedulePeriod") {
                try f.list(&r, "chargingSchedulePeriod", maximum: mostPeriods) {
                    r, f throws(JSONError) in
                    if let period = try readPeriod(&r, &f) { schedule.periods.append(period) }
                }
            } else if r.matches(key, "duration") {
                schedule.durationSeconds = try f.scheduleSeconds(&r, "duration")
            } else if r.matches(key, "minChargingRate") {
                schedule.minimumRateTenths = try f.tenths(&r, "minChargingRate")
            } else if r.matches(key, "startSchedule") {
                schedule.start = try f.bindingTime(&r, "startSchedule")
            } else {
                try f.unknown(&r)
            }
        }
        guard isObject else { return nil }
        guard let unit else {
            fields.fail(.missingField, "a required field is missing: chargingRateUnit")
            return nil
        }
        if fields.deviations.contains(.listTooLong) {
            // What is left of a cut schedule would end with the wrong limit.
            fields.fail(.occurrenceViolation, "more periods than any station takes")
        }
        schedule.unit = unit
        return schedule
    }

    @_lifetime(reader: copy reader)
    private static func readPeriod(_ reader: inout JSONReader, _ fields: inout FieldReader)
        throws(JSONError) -> ChargingSchedule.Period?
    {
        var start: Int?
        var tenths: Int64?
        var phases: Int?
        _ = try fields.object(&reader, "chargingSchedulePeriod") { r, key, f throws(JSONError) in
            if r.matches(key, "startPeriod") {
                start = try f.scheduleSeconds(&r, "startPeriod")
            } else if r.matches(key, "limit") {
                tenths = try f.tenths(&r, "limit")
            } else if r.matches(key, "numberPhases") {
                phases = try f.integer(&r, "numberPhases")
            } else {
                try f.unknown(&r)
            }
        }
        guard let start, let tenths else {
            fields.fail(.missingField, "a period needs startPeriod and limit")
            return nil
        }
        return ChargingSchedule.Period(start: start, tenths: tenths, phases: phases)
    }
}

extension FieldReader {
    /// A word of a closed list on which an order depends: another one is a fault.
    @_lifetime(reader: copy reader)
    mutating func closed<Value>(
        _ reader: inout JSONReader, _ field: StaticString, _ words: Words<Value>
    ) throws(JSONError) -> Value? {
        var foreign: String?
        let value = try word(&reader, field, words, foreign: &foreign)
        if foreign != nil {
            fail(.propertyViolation, "a field is none of the known words: \(field)")
        }
        return value
    }

    /// A time on which a limit depends: one that cannot be read is a fault, null is absent.
    @_lifetime(reader: copy reader)
    mutating func bindingTime(_ reader: inout JSONReader, _ field: StaticString)
        throws(JSONError) -> Timestamp?
    {
        guard try reader.peek() != UInt8(ascii: "n") else {
            try reader.null()
            deviations.insert(.nullField)
            return nil
        }
        let time = try time(&reader)
        if time == nil { fail(.propertyViolation, "a time cannot be read: \(field)") }
        return time
    }

    /// Seconds within a schedule; more than can be reckoned with is a fault.
    @_lifetime(reader: copy reader)
    mutating func scheduleSeconds(_ reader: inout JSONReader, _ field: StaticString)
        throws(JSONError) -> Int?
    {
        guard let seconds = try integer(&reader, field) else { return nil }
        guard ChargingProfile.Bounds.seconds.contains(seconds) else {
            fail(.propertyViolation, "a field is out of range: \(field)")
            return nil
        }
        return seconds
    }

    /// A limit in tenths; further digits are cut, which can only lower it.
    @_lifetime(reader: copy reader)
    mutating func tenths(_ reader: inout JSONReader, _ field: StaticString)
        throws(JSONError) -> Int64?
    {
        let slice: JSONSlice
        switch try reader.peek() {
        case UInt8(ascii: "\""):
            deviations.insert(.textForNumber)
            slice = try reader.rawString()
        case UInt8(ascii: "n"):
            try reader.null()
            deviations.insert(.nullField)
            return nil
        case UInt8(ascii: "{"), UInt8(ascii: "["), UInt8(ascii: "t"), UInt8(ascii: "f"):
            try reader.skip()
            fail(.typeViolation, "a field has the wrong JSON type: \(field)")
            return nil
        default: slice = try reader.number()
        }
        guard let value = reader.decimal(of: slice),
            let tenfold = value.multiplied(by: Decimal(10)),
            let whole = tenfold.floor, let tenths = Int64(exactly: whole),
            ChargingProfile.Bounds.tenths.contains(tenths)
        else {
            fail(.propertyViolation, "a field is out of range: \(field)")
            return nil
        }
        if value.reduced.scale > 1 { deviations.insert(.digitsTooMany) }
        return tenths
    }
}
