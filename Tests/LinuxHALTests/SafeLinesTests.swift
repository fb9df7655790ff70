import Glibc
import HAL
import LinuxHAL
import Service
import TestSupport
import Testing

@Suite struct `Safe lines` {
    @Test func `are the outputs at the level at which nothing happens, in a file of one line each`()
        throws
    {
        let lines = SafeLines(GPIORig.wishes())
        #expect(lines.lines.count == 8)
        let text = lines.text
        #expect(text.contains("*\tK1\tlow\tpushPull\n"))
        #expect(text.contains("*\tGREEN1\thigh\tpushPull\n"))
        #expect(!text.contains("ESTOP"))
        #expect(SafeLines(text: text) == lines)
    }

    @Test(arguments: [
        "", "K1", "# another file\n*\tK1\tlow\tpushPull\n",
        SafeLines(lines: []).text + "*\tK1\tlow\n",
        SafeLines(lines: []).text + "*\tK1\tmiddle\tpushPull\n",
        SafeLines(lines: []).text + "*\t\tlow\tpushPull\n",
        SafeLines(lines: []).text + String(repeating: "*\tK1\tlow\tpushPull\n", count: 300),
    ])
    func `are not read from what we did not write`(text: String) {
        #expect(SafeLines(text: text) == nil)
    }

    @Test func `lie where they could be written last, and nowhere without a line`() throws {
        let folder = TemporaryFolder()
        let places = SafeLines.places(
            configuration: folder.file("edge.yaml"), state: folder.file("state"))
        #expect(
            places == [
                folder.file("edge.yaml.safe-lines"), folder.file("state/edge.yaml.safe-lines"),
            ])
        let lines = SafeLines(GPIORig.wishes())
        #expect(SafeLines.read(places) == nil)
        #expect(try lines.write(places) == places[0])
        #expect(SafeLines.read(places) == lines)
        // Beside the configuration is no room any more: the other place is newer, and counts.
        try FileSystem.makeFolder(folder.file("state"))
        var past = [timeval(tv_sec: 1, tv_usec: 0), timeval(tv_sec: 1, tv_usec: 0)]
        utimes(places[0], &past)
        let fewer = SafeLines(lines: Array(lines.lines.prefix(2)))
        #expect(try fewer.write(["/proc/none/edge.yaml.safe-lines", places[1]]) == places[1])
        #expect(SafeLines.read(places) == fewer)
        #expect(try SafeLines(lines: []).write(places) == nil)
        #expect(SafeLines.read(places) == nil)
    }

    @Test func `are taken over by the drivers without being let go or moved`() throws {
        let gpio = GPIORig.fake()
        gpio["K1"] = true
        let held = SafeLines(GPIORig.wishes()).hold(gpio)
        #expect(held.count == 8)
        #expect(held.problems.isEmpty)
        #expect(!gpio["K1"])
        #expect(gpio["GREEN1"])
        let rig = try GPIORig(held: held, gpio: gpio)
        #expect(gpio.world.withLock { $0.requests } == 2, "the inputs come with a second one")
        #expect(gpio.terminal("K1").written == [false])
        let contactor = rig.contactor()
        contactor.set(closed: true)
        #expect(gpio["K1"])
        rig.gpio["RCD1"] = true
        rig.board.drain()
        #expect(!gpio["K1"])
    }

    @Test func `of another board keep what they can and give way to the drivers`() throws {
        let gpio = GPIORig.fake()
        // Written for a board whose RCD line was an output, and with lines that are not there.
        let stale = SafeLines(lines: [
            .init(chip: nil, name: "K1", level: true, drive: .pushPull),
            .init(chip: nil, name: "RCD1", level: false, drive: .pushPull),
            .init(chip: nil, name: "GONE", level: false, drive: .pushPull),
        ])
        let held = stale.hold(gpio)
        #expect(held.count == 2)
        #expect(held.problems == [.noLine("GONE", chip: nil, nearest: nil)])
        let rig = try GPIORig(held: held, gpio: gpio)
        #expect(!gpio["K1"], "what the board says counts")
        let contactor = rig.contactor()
        contactor.set(closed: true)
        gpio["RCD1"] = true
        rig.board.drain()
        #expect(!gpio["K1"])
    }

    @Test func `take the rest when one of them is held by somebody`() throws {
        let gpio = GPIORig.fake()
        let place = try GPIOPlan.find("GREEN1", chip: nil, on: gpio.chips())
        let first = try gpio.request(
            [GPIOLineSetting(offset: place.offset, isOutput: true)], chip: place.chip)
        let held = SafeLines(GPIORig.wishes()).hold(gpio)
        #expect(held.count == 7)
        #expect(held.problems.count == 1)
        withExtendedLifetime(first) {}
    }
}
