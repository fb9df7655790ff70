import JSON

/// The members of an OCPI tariff as `PUT /tariffs/{id}` takes them.
///
/// Partners' tariffs may have more than is read here. The operator's own may not: a misspelt `vat` is a
/// bill without tax, a misspelt `max_price` one without an end.
enum TariffBody {
    private static let tariff: Set = [
        "country_code", "party_id", "id", "currency", "type", "tariff_alt_text", "tariff_alt_url",
        "min_price", "max_price", "elements", "tax_included", "start_date_time", "end_date_time",
        "last_updated",
    ]
    private static let text: Set = ["language", "text"]
    private static let price: Set = ["excl_vat", "incl_vat"]
    /// As OCPI 2.3.0 names them.
    private static let newPrice: Set = ["before_taxes", "after_taxes"]
    private static let element: Set = ["price_components", "restrictions"]
    private static let component: Set = ["type", "price", "vat", "step_size"]

    /// The mapping itself refuses restrictions that it does not know, of whomever.
    static func refuseStrangers(_ body: JSONValue) throws(APIProblem) {
        try body.refuseStrangers(tariff)
        for text in body.items("tariff_alt_text") {
            try text.value.refuseStrangers(self.text, at: text.path)
        }
        for name in ["min_price", "max_price"] {
            guard let price = body.given(name) else { continue }
            let isNew = price["before_taxes"] != nil
            try price.refuseStrangers(isNew ? newPrice : self.price, at: name)
        }
        for element in body.items("elements") {
            try element.value.refuseStrangers(self.element, at: element.path)
            for component in element.value.items("price_components", at: element.path) {
                try component.value.refuseStrangers(self.component, at: component.path)
            }
        }
    }
}
