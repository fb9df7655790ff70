import Charging
import TestSupport
import Testing

@testable import Service

@Suite struct `A log` {
    private func lines(
        _ format: Log.Format, level: Log.Level = .debug, _ write: (Log) -> Void
    ) -> [String] {
        let lines = Lock<[String]>([])
        let log = Log(level: level, format: format, clock: ManualClock(Timestamp(seconds: 0))) {
            line in lines.withLock { $0.append(line) }
        }
        write(log)
        return lines.withLock { $0 }
    }

    @Test func `writes logfmt in the order given`() {
        let lines = lines(.logfmt) { log in
            log.notice(
                "session ended",
                ["session": "s 1", "energyWh": 7_430, "ok": true, "none": String?.none])
        }
        #expect(
            lines == [
                #"at=1970-01-01T00:00:00Z level=notice message="session ended" session="s 1" energyWh=7430 ok=true"#
            ])
    }

    @Test func `writes JSON`() {
        let lines = lines(.json) { $0.error("x", ["price": Decimal("0.25"), "empty": ""]) }
        #expect(
            lines == [
                #"{"at":"1970-01-01T00:00:00Z","level":"error","message":"x","price":"0.25","empty":""}"#
            ])
    }

    @Test(arguments: Log.Format.allCases)
    func `lets no value begin a line, move a cursor or hide`(_ format: Log.Format) {
        let lines = lines(format) {
            $0.info("frame", ["text": "a\n\u{1B}[2J\u{85}\u{202E}\"=\\\u{0}z"])
        }
        #expect(lines.count == 1)
        #expect(
            lines[0].contains(#""a\n\u001b[2J\u0085\u202e\"=\\\u0000z""#), "\(lines[0])")
    }

    @Test func `cuts a value that is too long`() {
        let lines = lines(.logfmt) { $0.info("x", ["v": String(repeating: "a b", count: 5000)]) }
        #expect(lines[0].utf8.count < Log.longestValueBytes + 100)
        #expect(lines[0].hasSuffix("…\""))
    }

    @Test func `keeps silent below its level and does not even look at the values`() {
        var looked = false
        let lines = lines(.logfmt, level: .info) { log in
            log.debug(
                "no",
                [
                    "v": {
                        looked = true; return "x"
                    }()
                ])
        }
        #expect(lines == [])
        #expect(!looked)
    }
}
