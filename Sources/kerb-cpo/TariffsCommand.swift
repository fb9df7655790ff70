import Glibc
import JSON
import OCPI
import Service

/// `kerb-cpo tariffs test CASES.json [--json]`: prices every case of a file.
///
/// Prints each miss with its arithmetic and ends with `N passed, N failed`. Exit 0 when all pass, 1 on
/// a miss, 2 when the file or the command line cannot be used.
enum TariffsCommand {
    static let usage = """
        usage: kerb-cpo tariffs test CASES.json [--json]

        Prices every case of the file with Kerb's tariff engine and compares each figure.
          --json   one JSON object instead of text
        """

    /// - Parameter arguments: what follows `tariffs`.
    static func run(_ arguments: [String]) -> Int32 {
        if arguments.contains("--help") {
            print(usage)
            return 0
        }
        var words = arguments
        let asJSON = words.contains("--json")
        words.removeAll { $0 == "--json" }
        guard words.count == 2, words[0] == "test", !words[1].hasPrefix("-") else {
            complain(usage)
            return 2
        }
        do {
            let bytes = try FileSystem.read(words[1], limitBytes: JSONLimits.file.bytes)
            let outcomes = try TariffCases(parsing: bytes).run()
            report(outcomes, asJSON: asJSON)
            return outcomes.allSatisfy(\.passed) ? 0 : 1
        } catch let error as WireError {
            complain("\(words[1]): \(error)")
        } catch {
            complain("\(error)")
        }
        return 2
    }

    private static func report(_ outcomes: [TariffCases.Outcome], asJSON: Bool) {
        let passed = outcomes.count { $0.passed }
        let misses = outcomes.filter { !$0.passed }
        if asJSON {
            let document: JSONValue = [
                "passed": .number(passed), "failed": .number(misses.count),
                "misses": .array(
                    misses.map {
                        ["id": .string($0.id), "report": .array($0.report.map(JSONValue.string))]
                    }),
            ]
            print(document.text)
            return
        }
        for miss in misses {
            print(miss.id)
            for line in miss.report { print("    \(line)") }
        }
        print("\(passed) passed, \(misses.count) failed")
    }

    private static func complain(_ text: String) {
        var bytes = Array(text.utf8)
        bytes.append(UInt8(ascii: "\n"))
        _ = write(2, bytes, bytes.count)
    }
}
