import Charging

/// A bill's work as text, a line per component: what was measured, billed and charged, and why.
package enum TariffArithmetic {
    package static func lines(_ cost: ExactCost, _ tariff: Tariff) -> [String] {
        var rows = [["dimension", "element", "measured", "billed", "price", "vat", "excl", "incl"]]
        for line in cost.lines {
            let unit =
                switch line.dimension {
                case .energy: " Wh"
                case .time, .parkingTime: " s"
                case .flat: ""
                }
            rows.append([
                (line.isReservation ? "RESERVATION " : "") + line.dimension.rawValue,
                "\(line.element)", shown(line.measured) + unit, shown(line.billed) + unit,
                "\(line.component.price)",
                line.component.vat.map { "\($0.reduced) %" } ?? "unknown",
                shown(line.cost.excl), line.cost.incl.map(shown) ?? "unknown",
            ])
        }
        rows.append(sum("sum", cost.beforeLimits))
        if tariff.minPrice != nil || tariff.maxPrice != nil {
            rows.append(sum("after min and max", cost.total))
        }
        return table(rows)
    }

    private static func sum(_ name: String, _ figure: ExactCost.Figure) -> [String] {
        [name, "", "", "", "", "", shown(figure.excl), figure.incl.map(shown) ?? "unknown"]
    }

    /// Six digits show every price and quantity of a case; the work itself is exact.
    private static func shown(_ value: Rational) -> String {
        value.rounded(to: 6).reduced.description
    }

    private static func table(_ rows: [[String]]) -> [String] {
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            var line = ""
            for (column, text) in row.enumerated() {
                let blanks = String(repeating: " ", count: widths[column] - text.count)
                line += (column == 0 ? text + blanks : "  " + blanks + text)
            }
            return line
        }
    }
}
