import Charging
import JSON
import Testing

@testable import Station

@Suite struct `An order to limit a charge` {
    @Test func `names a charge and what ends it`() throws {
        let order = try ChargeLimitOrder(
            #"{"transactionId":7,"energyWh":20000,"seconds":3600,"amount":"12.50","pricePerKWh":0.49}"#
        )
        #expect(order.whose == .transaction(7))
        #expect(order.limits.energy == WattHours(20_000))
        #expect(order.limits.seconds == 3_600)
        #expect(order.limits.budget?.energy == WattHours(25_510))
        #expect(try ChargeLimitOrder(#"{"connectorId":1}"#).limits == .none)
    }

    @Test(arguments: [
        ("", "data must be one JSON object"), ("[]", "data must be one JSON object"),
        ("{}", "give either transactionId or connectorId"),
        (#"{"transactionId":1,"connectorId":1}"#, "give either transactionId or connectorId"),
        (#"{"connectorId":1,"energyWH":5}"#, "unknown member energyWH"),
        (
            #"{"connectorId":1,"energyWh":0}"#,
            "energyWh must be a whole number from 1 to 10000000"
        ),
        (
            #"{"connectorId":1,"energyWh":1.5}"#,
            "energyWh must be a whole number from 1 to 10000000"
        ),
        (
            #"{"connectorId":1,"seconds":99999999999999999999}"#,
            "seconds must be a whole number from 1 to 31536000"
        ),
        (
            #"{"connectorId":1,"amount":5}"#,
            "amount and pricePerKWh must be both given, above 0, up to 1000000 and 10000, at most 6 digits after the point"
        ),
    ])
    func `is refused with its reason`(_ text: String, _ reason: String) {
        do throws(ChargeLimitError) {
            _ = try ChargeLimitOrder(text)
            Issue.record("taken")
        } catch {
            #expect("\(error)" == reason)
        }
    }

    @Test func `is kept by the journal as it was`() throws {
        let limits = ChargeLimits(
            energy: WattHours(5), seconds: 6,
            budget: ChargeLimits.Budget(
                amount: Decimal(3), perKilowattHour: try #require(Decimal("0.25"))))
        #expect(ChargeLimits(kept: limits.json.text) == limits)
        #expect(ChargeLimits(kept: nil) == ChargeLimits.none)
        for line in ["", "broken", "7"] { #expect(ChargeLimits(kept: line) == nil) }
    }
}
