import Charging
import Glibc
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

    @Test func `gives journald a field for each value and the severity`() {
        let lines = lines(.journal) { log in
            log.warning(
                "meter lost", ["connector": 1, "energyWh": 7, "unit": 3, "none": Int?.none])
        }
        #expect(
            lines == [
                "MESSAGE=meter lost connector=1 energyWh=7 unit=3\nPRIORITY=4\nCONNECTOR=1\n"
                    + "ENERGY_WH=7\nKERB_UNIT=3\n"
            ])
    }

    @Test func `lets no value add a field to a journal entry`() {
        let lines = lines(.journal) { $0.info("frame", ["text": "a\nPRIORITY=0"]) }
        #expect(lines[0].split(separator: "\n").count == 3)
        #expect(JournalSocket.prefixed(lines[0]) == #"<6>frame text="a\nPRIORITY=0""#)
    }

    @Test func `goes to journald only where standard error leads there`() throws {
        var info = stat()
        fstat(2, &info)
        #expect(Log.Format.isJournal("\(info.st_dev):\(info.st_ino)", descriptor: 2))
        #expect(!Log.Format.isJournal("\(info.st_dev):0", descriptor: 2))
        #expect(!Log.Format.isJournal(nil, descriptor: 2))
    }

    @Test func `sends an entry as one datagram under the program's name`() throws {
        let folder = TemporaryFolder()
        let path = folder.path + "/journal"
        #expect(!JournalSocket(path: path, program: "x").send("MESSAGE=a\n"))
        let receiver = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        defer { close(receiver) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(receiver, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        #expect(bound == 0)
        #expect(JournalSocket(path: path, program: "kerb-x").send("MESSAGE=a\n"))
        var bytes = [UInt8](repeating: 0, count: 100)
        let count = recv(receiver, &bytes, bytes.count, Int32(MSG_DONTWAIT))
        #expect(
            String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
                == "MESSAGE=a\nSYSLOG_IDENTIFIER=kerb-x\n")
    }
}
