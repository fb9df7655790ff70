import Charging
import JSON

extension Tariff: Stored {
    package var stored: JSONValue {
        .members([
            "party": party.stored, "id": .string(id), "currency": .string(currency),
            "kind": .text(kind), "texts": texts.isEmpty ? nil : texts.stored,
            "textURL": .text(textURL), "minPrice": minPrice?.stored, "maxPrice": maxPrice?.stored,
            "elements": elements.stored, "taxInclusion": .string(taxInclusion.rawValue),
            "validFrom": .moment(validFrom), "validUntil": .moment(validUntil),
            "lastUpdated": .time(lastUpdated),
        ])
    }

    package init(stored: JSONValue) throws {
        self.init(
            party: try stored.nested("party"), id: try stored.text("id"),
            currency: try stored.text("currency"), kind: try stored.textOrNil("kind"),
            texts: try stored.list("texts"), textURL: try stored.textOrNil("textURL"),
            minPrice: try stored.nestedOrNil("minPrice"),
            maxPrice: try stored.nestedOrNil("maxPrice"), elements: try stored.list("elements"),
            taxInclusion: try stored.choice("taxInclusion"),
            validFrom: try stored.timeOrNil("validFrom"),
            validUntil: try stored.timeOrNil("validUntil"),
            lastUpdated: try stored.time("lastUpdated"))
    }
}

extension Price: Stored {
    package var stored: JSONValue {
        .members(["exclVAT": .number(exclVAT), "inclVAT": .decimal(inclVAT)])
    }

    package init(stored: JSONValue) throws {
        self.init(
            exclVAT: try stored.decimal("exclVAT"), inclVAT: try stored.decimalOrNil("inclVAT"))
    }
}

extension Tariff.Text: Stored {
    package var stored: JSONValue {
        .members(["language": .string(language), "text": .string(text)])
    }

    package init(stored: JSONValue) throws {
        self.init(language: try stored.text("language"), text: try stored.text("text"))
    }
}

extension Tariff.Element: Stored {
    package var stored: JSONValue {
        .members(["components": components.stored, "restrictions": restrictions?.stored])
    }

    package init(stored: JSONValue) throws {
        self.init(
            components: try stored.list("components"),
            restrictions: try stored.nestedOrNil("restrictions"))
    }
}

extension Tariff.Component: Stored {
    package var stored: JSONValue {
        .members([
            "dimension": .string(dimension.rawValue), "price": .number(price),
            "vat": .decimal(vat), "stepSize": .number(stepSize),
        ])
    }

    package init(stored: JSONValue) throws {
        self.init(
            try stored.choice("dimension"), price: try stored.decimal("price"),
            vat: try stored.decimalOrNil("vat"), stepSize: try stored.int("stepSize"))
    }
}

extension Tariff.LocalDate: Stored {
    package var stored: JSONValue { [.number(year), .number(month), .number(day)] }

    package init(stored: JSONValue) throws {
        guard let year = stored[0]?.int, let month = stored[1]?.int, let day = stored[2]?.int else {
            throw StoredError(key: "date")
        }
        self.init(year: year, month: month, day: day)
    }
}

extension Tariff.Restrictions: Stored {
    package var stored: JSONValue {
        .members([
            "startMinutes": .int(startTime?.minutes), "endMinutes": .int(endTime?.minutes),
            "startDate": startDate?.stored, "endDate": endDate?.stored,
            "minKWh": .decimal(minKWh), "maxKWh": .decimal(maxKWh),
            "minCurrent": .decimal(minCurrent), "maxCurrent": .decimal(maxCurrent),
            "minPower": .decimal(minPower), "maxPower": .decimal(maxPower),
            "minDurationSeconds": minDurationSeconds.map { .number($0) },
            "maxDurationSeconds": maxDurationSeconds.map { .number($0) },
            "daysOfWeek": daysOfWeek.isEmpty
                ? nil : .array(daysOfWeek.sorted().map { .number($0) }),
            "reservation": .text(reservation?.rawValue),
        ])
    }

    package init(stored: JSONValue) throws {
        self.init()
        startTime = try stored.intOrNil("startMinutes").map { Tariff.LocalTime(minutes: $0) }
        endTime = try stored.intOrNil("endMinutes").map { Tariff.LocalTime(minutes: $0) }
        startDate = try stored.nestedOrNil("startDate")
        endDate = try stored.nestedOrNil("endDate")
        minKWh = try stored.decimalOrNil("minKWh")
        maxKWh = try stored.decimalOrNil("maxKWh")
        minCurrent = try stored.decimalOrNil("minCurrent")
        maxCurrent = try stored.decimalOrNil("maxCurrent")
        minPower = try stored.decimalOrNil("minPower")
        maxPower = try stored.decimalOrNil("maxPower")
        minDurationSeconds = try stored.int64OrNil("minDurationSeconds")
        maxDurationSeconds = try stored.int64OrNil("maxDurationSeconds")
        daysOfWeek = Set(try stored.optional("daysOfWeek") { $0.array?.compactMap(\.int) } ?? [])
        reservation = try stored.optional("reservation") {
            $0.string.flatMap { Tariff.ReservationRestriction(rawValue: $0) }
        }
    }
}
