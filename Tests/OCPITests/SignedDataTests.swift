import CPO
import Charging
import Crypto
import JSON
import OCPI
import Testing

@Suite struct `The signed data of a bill` {
    private static let begin = #"OCMF|{"RD":[{"TX":"B"}],"ID":"CARD-1"}|{"SD":"3045"}"#
    private static let end = #"OCMF|{"RD":[{"TX":"E"}],"ID":"CARD-1"}|{"SD":"3046"}"#

    private static func reading(
        _ record: String, _ context: ReadingContext, _ seconds: Int64
    ) -> MeterReading {
        MeterReading(
            at: OCPIHouse.noon.advanced(bySeconds: seconds),
            samples: [
                MeterSample(
                    quantity: .known(.energyImport), value: .zero, context: context, signed: record)
            ])
    }

    private static func report(_ transaction: Int, _ readings: [MeterReading]) -> StationEvent {
        .metered(
            MeterReport(connector: 1, transaction: .number(transaction), readings: readings))
    }

    /// A charge of ten minutes whose stop carries `readings`; its bill.
    private static func bill(
        _ house: OCPIHouse, meter: [MeterReading] = [], stop: [MeterReading] = []
    ) async throws -> JSONValue {
        let (number, session) = try await house.start()
        if !meter.isEmpty { _ = try await house.apply(report(number, meter), after: 2) }
        let end = OCPIHouse.noon.advanced(bySeconds: 600)
        _ = try await house.apply(
            .sessionStopped(
                SessionStop(
                    transaction: .number(number), meterStop: WattHours(3000), at: end,
                    reason: .local, readings: stop)), after: 600)
        return try #require(try await house.cpo.cdrs.cdr(session)).ocpi221(party: OCPIHouse.party)
    }

    @Test func `is the records of begin, between and end, each once and unchanged`() async throws {
        let house = try await OCPIHouse()
        let between = #"OCMF|{"RD":[{"TX":"T"}]}|{"SD":"3047"}"#
        let bill = try await Self.bill(
            house,
            meter: [
                Self.reading(Self.begin, .transactionBegin, 0),
                Self.reading(between, .sampleClock, 200),
            ],
            stop: [
                // Told again, as stations do.
                Self.reading(Self.begin, .transactionBegin, 1),
                Self.reading(Self.end, .transactionEnd, 600),
            ])
        let signed = try #require(bill["signed_data"]?.object)
        #expect(Set(signed.keys) == ["encoding_method", "signed_values"])
        #expect(signed["encoding_method"]?.string == "OCMF")
        let values = try #require(signed["signed_values"]?.array)
        #expect(values.map { $0["nature"]?.string } == ["Start", "Intermediate", "End"])
        let records = [Self.begin, between, Self.end]
        #expect(values.map { $0["plain_data"]?.string } == records)
        #expect(
            values.map { $0["signed_data"]?.string }
                == records.map { Base64.encode(Array($0.utf8)) })
    }

    @Test func `is left out where nothing was signed, or in a form without a name`() async throws {
        let house = try await OCPIHouse()
        let plain = try await Self.bill(house)
        #expect(plain.object != nil)
        #expect(plain["signed_data"] == nil)
        let other = try await OCPIHouse()
        let foreign = try await Self.bill(
            other, stop: [Self.reading("0A0B0C", .transactionEnd, 600)])
        #expect(foreign["signed_data"] == nil)
    }

    @Test func `has the form and the key that its station names`() async throws {
        let house = try await OCPIHouse()
        let data = Base64.encode(Array("EDL 1".utf8))
        let object =
            #"{"encodingMethod":"EDL","publicKey":"AQID","signedMeterData":"\#(data)","signingMethod":""}"#
        let bill = try await Self.bill(
            house,
            stop: [
                Self.reading(object, .transactionEnd, 600),
                Self.reading(Base64.encode(Array(Self.begin.utf8)), .transactionBegin, 0),
            ])
        let signed = try #require(bill["signed_data"])
        #expect(signed["encoding_method"]?.string == "EDL")
        #expect(signed["public_key"]?.string == "AQID")
        // One bill has one form: the other's record is not passed off as this one's.
        let values = try #require(signed["signed_values"]?.array)
        #expect(values.map { $0["plain_data"]?.string } == ["EDL 1"])
        #expect(values.first?["signed_data"]?.string == data)
    }

    /// What a bill with a record of the begin and one of the end carries.
    private static func signed(_ house: OCPIHouse, _ records: [String]) async throws -> JSONValue {
        let bill = try await bill(
            house,
            stop: [
                reading(records[0], .transactionBegin, 0),
                reading(records[1], .transactionEnd, 600),
            ])
        return try #require(bill["signed_data"])
    }

    @Test(arguments: [0, 1])
    func `has the key that its station told with one record only`(_ teller: Int) async throws {
        let house = try await OCPIHouse()
        let data = ["EDL 1", "EDL 2"].map { Base64.encode(Array($0.utf8)) }
        let records = data.enumerated().map { index, data in
            let key = index == teller ? "AQID" : ""
            return
                #"{"encodingMethod":"EDL","publicKey":"\#(key)","signedMeterData":"\#(data)","signingMethod":""}"#
        }
        let signed = try await Self.signed(house, records)
        #expect(signed["public_key"]?.string == "AQID")
        let values = try #require(signed["signed_values"]?.array)
        #expect(values.map { $0["signed_data"]?.string } == data)
    }

    @Test func `has no record of another key than that of its end`() async throws {
        let house = try await OCPIHouse()
        let data = ["EDL 1", "EDL 2"].map { Base64.encode(Array($0.utf8)) }
        let records = zip(["AQID", "BAUG"], data).map { key, data in
            #"{"encodingMethod":"EDL","publicKey":"\#(key)","signedMeterData":"\#(data)","signingMethod":""}"#
        }
        let signed = try await Self.signed(house, records)
        #expect(signed["public_key"]?.string == "BAUG")
        #expect(
            signed["signed_values"]?.array?.map { $0["signed_data"]?.string } == [data[1]])
    }

    @Test(arguments: [512, 513])
    func `is as long as OCPI lets it be`(_ length: Int) async throws {
        let house = try await OCPIHouse()
        let record = "OCMF|" + String(repeating: "x", count: length - 5)
        let bill = try await Self.bill(
            house, stop: [Self.reading(record, .transactionEnd, 600)])
        #expect(bill.object != nil)
        #expect((bill["signed_data"] == nil) == (length > 512))
    }

    @Test func `is sealed with the bill, and repeated by its credit`() async throws {
        let house = try await OCPIHouse()
        let before = try await Self.bill(
            house, stop: [Self.reading(Self.end, .transactionEnd, 600)])
        let session = try #require(before["session_id"]?.string)
        let number = try #require(try await house.cpo.sessions.session(session)?.transaction)
        guard case .number(let transaction) = number else { throw OCPIHouse.Unexpected() }
        // It comes after the bill left.
        _ = try await house.apply(
            Self.report(transaction, [Self.reading(Self.begin, .transactionBegin, 0)]), after: 700)
        let after = try #require(try await house.cpo.cdrs.cdr(session))
        #expect(after.ocpi221(party: OCPIHouse.party) == before)
        let now = OCPIHouse.noon.advanced(bySeconds: 800)
        let made = try await house.cpo.write { [cpo = house.cpo] in
            try cpo.sessions.correct(
                session, Correction(.void, by: "anna", reason: "test"), at: now, in: $0)
        }
        let id = try #require(made.credit)
        let credit = try #require(try await house.cpo.cdrs.cdr(id))
        #expect(
            credit.ocpi221(party: OCPIHouse.party)["signed_data"] == before["signed_data"])
    }

    @Test func `never exceeds what OCPI lets a bill have`() async throws {
        let house = try await OCPIHouse()
        let long = "OCMF|" + String(repeating: "x", count: 4000)
        var meter = [Self.reading(Self.begin, .transactionBegin, 0)]
        for number in 0..<40 {
            meter.append(Self.reading("OCMF|\(number)", .samplePeriodic, Int64(number + 1)))
        }
        let bill = try await Self.bill(
            house, meter: meter,
            stop: [
                Self.reading(long, .transactionEnd, 599),
                Self.reading(Self.end, .transactionEnd, 600),
            ])
        let values = try #require(bill["signed_data"]?["signed_values"]?.array)
        #expect(values.count == 8)
        #expect(values.first?["plain_data"]?.string == Self.begin)
        #expect(values.last?["plain_data"]?.string == Self.end)
    }
}
