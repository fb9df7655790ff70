import CPO
import Charging
import JSON
import TestSupport
import Testing
import Web

@testable import Console

/// What nobody reads is refused by its name, instead of being dropped with what it would have bounded.
@Suite(.timeLimit(.minutes(2))) struct `What the API does not know` {
    @Test(
        arguments: [
            (["energy_mix": ["is_green_energy": true]], "energy_mix"),
            (["max_prise": ["excl_vat": 20]], "max_prise"),
            (["max_price": ["excl_vat": 20, "inc_vat": 24]], "max_price.inc_vat"),
            (["max_price": ["before_taxes": 20, "incl_vat": 24]], "max_price.incl_vat"),
            (["tariff_alt_text": [["language": "en", "txt": "x"]]], "tariff_alt_text[0].txt"),
            (
                ["elements": [["price_components": [], "restriction": [:]]]],
                "elements[0].restriction"
            ),
            (
                ["elements": [["price_components": [["type": "ENERGY", "vta": 18]]]]],
                "elements[0].price_components[0].vta"
            ),
        ] as [(JSONValue, String)])
    func `is refused in a tariff, wherever it stands`(
        _ body: JSONValue, _ field: String
    ) async throws {
        let test = try await TestConsole()
        let answer = try await test.call(
            "PUT", "/api/v1/tariffs/T1", key: test.admin, body: body)
        #expect(answer.status == 422)
        #expect(answer["field"]?.string == field)
        await test.server.stop()
    }
}
