import Charging
import Glibc
import HAL
import LinuxHAL
import Service
import TestSupport
import Testing

private let pwmFolder = "class/pwm/pwmchip3/pwm0"
private let adcFolder = "bus/iio/devices/iio:device7"

@Suite struct `A direct pilot` {
    private let clock = ManualClock()
    private let fake: FakeSysfs
    private let pilot: PWMPilot

    init() throws {
        fake = try FakeSysfs.withPilot()
        pilot = PWMPilot(
            name: "pilot 1", sysfs: fake.sysfs,
            profile: PWMPilotProfile(
                pwmDevice: "fe20c000.pwm", adcDevice: "mcp3208",
                positive: ADCScale(microvoltsPerCount: 1_000),
                negative: ADCScale(microvoltsPerCount: -1_000)), connector: 1, clock: clock)
    }

    private func sample(_ times: Int = 2) {
        for _ in 0..<times {
            clock.advance(milliseconds: PWMPilot.sampleMilliseconds)
            pilot.sample()
        }
    }

    private func tell(_ signal: PilotSignal) {
        pilot.set(signal)
        pilot.write()
    }

    @Test func `puts X1, F and a duty on its PWM`() throws {
        tell(.x1)
        #expect(try fake.pwm("period") == "1000000")
        #expect(try fake.pwm("duty_cycle") == "1000000")
        #expect(try fake.pwm("enable") == "1")
        tell(.pwm(Amperes(16)))
        #expect(try fake.pwm("duty_cycle") == "266666")
        tell(.pwm(Amperes(5)))
        #expect(try fake.pwm("duty_cycle") == "1000000", "below 6 A there is no duty")
        tell(.f)
        #expect(try fake.pwm("duty_cycle") == "0")
    }

    @Test func `reads the car twice before it believes it, and its diode on a square wave`()
        async throws
    {
        tell(.x1)
        await #expect(throws: DeviceError.noAnswer) { try await pilot.reading() }
        fake.line(positive: 9_000, negative: 0)
        sample(1)
        await #expect(throws: DeviceError.noAnswer) { try await pilot.reading() }
        sample(1)
        #expect(try await pilot.reading().value == PilotReading(state: .b, offered: .zero))
        tell(.pwm(Amperes(16)))
        // Right after the change the negative detector still shows the steady level.
        sample(3)
        #expect(try await pilot.reading().value.diode == .unknown)
        clock.advance(milliseconds: PWMPilot.settleMilliseconds)
        fake.line(positive: 6_000, negative: -12_000)
        sample()
        let reading = try await pilot.reading().value
        #expect(reading.state == .c)
        #expect(reading.diode == .passed)
        #expect(reading.offered.milliamperes == 15_999)
        fake.line(positive: 6_000, negative: -6_000)
        sample()
        #expect(try await pilot.reading().value.diode == .failed)
    }

    @Test func `has no reading when its ADC is late or its PWM refuses`() async throws {
        tell(.x1)
        fake.line(positive: 12_000, negative: 0)
        sample()
        #expect(try await pilot.reading().value.state == .a)
        clock.advance(milliseconds: PWMPilot.staleMilliseconds + 1)
        await #expect(throws: DeviceError.noAnswer) { try await pilot.reading() }
        sample()
        fake.remove("\(pwmFolder)/period")
        tell(.pwm(Amperes(16)))
        await #expect(throws: DeviceError.self) { try await pilot.reading() }
        // The writer tries again.
        fake.pwm("period", "1000000")
        pilot.write()
        sample()
        #expect(try fake.pwm("duty_cycle") == "266666")
        #expect(try await pilot.reading().value.state == .a)
    }

    @Test func `whose ADC hangs tells no state that is too old for C to B in 100 ms`()
        async throws
    {
        tell(.x1)
        fake.line(positive: 6_000, negative: 0)
        sample()
        clock.advance(milliseconds: PWMPilot.staleMilliseconds)
        #expect(try await pilot.reading().value.state == .c)
        clock.advance(milliseconds: 1)
        await #expect(throws: DeviceError.noAnswer) { try await pilot.reading() }
        let poll: Int64 = 50
        #expect(PWMPilot.sampleMilliseconds + PWMPilot.staleMilliseconds + poll < 100)
        // One sample from after the gap is not two in a row.
        sample(1)
        await #expect(throws: DeviceError.noAnswer) { try await pilot.reading() }
        sample(1)
        #expect(try await pilot.reading().value.state == .c)
    }

    @Test func `whose ADC hangs holds up neither a reading nor X1`() async throws {
        fake.hang("\(adcFolder)/in_voltage0_raw")
        pilot.start()
        pilot.set(.pwm(Amperes(16)))
        await until { (try? fake.pwm("duty_cycle")) == "266666" }
        await #expect(throws: DeviceError.noAnswer) { try await pilot.reading() }
        pilot.set(.x1)
        await until { (try? fake.pwm("duty_cycle")) == "1000000" }
        #expect(try fake.pwm("duty_cycle") == "1000000")
        pilot.stop()
        close(fake.release("\(adcFolder)/in_voltage0_raw"))
    }

    @Test func `whose PWM hangs holds up neither a reading nor who sets it, and says so`()
        async throws
    {
        fake.pwm("period", "1000000")
        fake.hang("\(pwmFolder)/duty_cycle")
        fake.line(positive: 9_000, negative: 0)
        pilot.start()
        pilot.set(.pwm(Amperes(16)))
        pilot.set(.x1)
        clock.advance(milliseconds: PWMPilot.writtenWithinMilliseconds + 1)
        await #expect(throws: DeviceError.self) { try await pilot.reading() }
        var failure: DeviceError?
        do throws(DeviceError) { _ = try await pilot.reading() } catch { failure = error }
        #expect(failure.map { "\($0)" }?.contains("has not taken its signal") == true)
        let descriptor = fake.release("\(pwmFolder)/duty_cycle")
        await until {
            do throws(DeviceError) {
                _ = try await pilot.reading()
                return true
            } catch {
                if case .outputNotSet = error { return false }
                return true
            }
        }
        pilot.stop()
        close(descriptor)
    }

    @Test func `says which devices there are when its own is not`() throws {
        do throws(DeviceError) {
            _ = try fake.sysfs.pwmChip("fe20c800.pwm")
            Issue.record("another chip was taken")
        } catch {
            #expect("\(error)".contains("no PWM belongs to `fe20c800.pwm`; there are fe20c000.pwm"))
        }
        do throws(DeviceError) {
            _ = try fake.sysfs.analogDevice("ads1115")
            Issue.record("another ADC was taken")
        } catch {
            #expect("\(error)".contains("there are mcp3208"))
        }
    }

    private var proximity: ADCProximity {
        ADCProximity(
            sysfs: fake.sysfs,
            profile: ADCProximityProfile(
                adcDevice: "mcp3208", channel: 4, scale: ADCScale(microvoltsPerCount: 1_000),
                referenceMillivolts: 5_000, pullUpOhms: 330), connector: 1, clock: clock)
    }

    @Test func `measures the cable's resistor`() async throws {
        let proximity = proximity
        func rating(_ text: String) async throws -> Amperes? {
            fake.adc("in_voltage4_raw", text)
            proximity.sample()
            return try await proximity.rating().value
        }
        #expect(try await rating("2000") == Amperes(32))
        #expect(try await rating("4990") == nil)
        await #expect(throws: DeviceError.self) { _ = try await rating("3") }
        await #expect(throws: DeviceError.self) { _ = try await rating("nonsense") }
        #expect(try await rating("2000") == Amperes(32))
        clock.advance(milliseconds: ADCProximity.staleMilliseconds)
        #expect(try await proximity.rating().askedAt == 0, "a sample carries its age")
        clock.advance(milliseconds: 1)
        await #expect(throws: DeviceError.noAnswer) { try await proximity.rating() }
    }

    @Test func `whose ADC hangs has no cable's resistor, at once`() async throws {
        let proximity = proximity
        fake.hang("\(adcFolder)/in_voltage4_raw")
        proximity.start()
        await #expect(throws: DeviceError.noAnswer) { try await proximity.rating() }
        proximity.stop()
        close(fake.release("\(adcFolder)/in_voltage4_raw"))
    }
}

@Suite struct `A split board's pilot` {
    @Test(arguments: [
        (false, false, false, PilotState.a), (false, true, false, .b), (false, true, true, .c),
        (true, true, true, .e), (true, false, false, .e), (false, false, true, .e),
    ])
    func `is what the lines say together`(
        fault: Bool, connected: Bool, ready: Bool, state: PilotState
    ) {
        #expect(
            SplitPilotProfile.state(isFaulty: fault, isConnected: connected, isReady: ready)
                == state)
    }

    @Test func `offers the largest current that is not more`() {
        let profile = SplitPilotProfile(offers: [6, 10, 16, 32])
        #expect(profile.code(.x1) == 0)
        #expect(profile.code(.f) == 0)
        #expect(profile.code(.pwm(Amperes(5))) == 0)
        #expect(profile.code(.pwm(Amperes(6))) == 1)
        #expect(profile.code(.pwm(Amperes(milliamperes: 31_999))) == 3)
        #expect(profile.code(.pwm(Amperes(80))) == 4)
        #expect(profile.current(code: 3) == Amperes(16))
        #expect(profile.current(code: 0) == .zero)
        #expect(profile.current(code: 7) == .zero)
    }
}

@Suite struct `A token reader` {
    @Test func `that writes lines gives one token a line`() {
        var lines = TokenLines()
        func take(_ text: String) -> [String] { text.utf8.compactMap { lines.take($0) } }
        #expect(take("04a2b3\r\n") == ["04A2B3"])
        #expect(take("\n\n") == [])
        #expect(take("04 A2\n") == [], "a blank is in no token")
        #expect(take(String(repeating: "A", count: 100) + "\n") == [])
        #expect(take("DEADBEEF\n") == ["DEADBEEF"])
    }

    @Test func `takes a UID in pairs for the UID, and no other text apart`() {
        var lines = TokenLines()
        func take(_ text: String) -> [String] { (text + "\r\n").utf8.compactMap { lines.take($0) } }
        for text in ["04 a2 f3 b1", "04:A2:F3:B1", " 04-a2-f3-b1 ", "04a2f3b1"] {
            #expect(take(text) == ["04A2F3B1"], "\(text)")
        }
        #expect(take("04 A2 F3 B1 55 66 77") == ["04A2F3B1556677"])
        #expect(take("00:11:22:33:44:55:66:77:88:99") == ["00112233445566778899"])
        // Three pairs are no UID; an operator's own token keeps its signs.
        #expect(take("04 A2 F3") == [])
        #expect(take("AB-CD") == ["AB-CD"])
        #expect(take("fleet:7 ") == ["FLEET:7"])
        #expect(take("G4:A2:F3:B1") == ["G4:A2:F3:B1"])
    }

    @Test(arguments: [
        ("", "is empty"), ("04 A2", "holds a blank"), ("04\u{AB}A2", "no token has, U+00AB"),
        (String(repeating: "7", count: 21), "has 21 characters"),
    ])
    func `says which rule a text breaks that is no token`(_ text: String, _ why: String) {
        #expect(LineTokenReader.fault(of: text)?.contains(why) == true)
        #expect(!LineTokenReader.isToken(text))
        #expect(LineTokenReader.isToken("04A2F3B1"))
    }

    @Test(.timeLimit(.minutes(1)))
    func `sets a serial port to its speed, eight bits and no echo`() async throws {
        let folder = TemporaryFolder()
        var (reader, port): (Int32, Int32) = (-1, -1)
        var name = [CChar](repeating: 0, count: 128)
        // As a port is after boot: 9600 with echo and lines.
        try #require(openpty(&reader, &port, &name, nil, nil) == 0)
        defer {
            close(reader)
            close(port)
        }
        let path = folder.file("port")
        try #require(symlink(name, path) == 0)
        let tokens = LineTokenReader(path: path, baud: 19_200)
        var found = tokens.tokens.makeAsyncIterator()
        var line = termios()
        // Until the thread has opened it; the suite's limit ends this.
        repeat {
            try await Task.sleep(for: .milliseconds(5))
            tcgetattr(port, &line)
        } while cfgetispeed(&line) != speed_t(B19200)
        #expect(line.c_lflag & tcflag_t(ICANON | ECHO | ISIG) == 0)
        #expect(line.c_cflag & tcflag_t(CSIZE) == tcflag_t(CS8))
        #expect(line.c_cflag & tcflag_t(PARENB | CSTOPB) == 0)
        // A reader that ends its lines with CR alone, and asks nobody back.
        let bytes = Array("04 A2 F3 B1\r".utf8)
        _ = write(reader, bytes, bytes.count)
        #expect(await found.next() == "04A2F3B1")
        var echo = pollfd(fd: reader, events: Int16(POLLIN), revents: 0)
        #expect(poll(&echo, 1, 0) == 0, "nothing comes back")
    }

    @Test func `that types gives what stands before Enter`() {
        // linux/input-event-codes.h
        var keys = TokenKeys()
        func type(_ codes: [UInt16], at start: Int64) -> [String] {
            codes.enumerated().compactMap { keys.take($1, at: start + Int64($0)) }
        }
        #expect(type([11, 5, 30, 3, 48, 28], at: 0) == ["04A2B"])
        #expect(type([82, 79, 80, 96], at: 50) == ["012"], "the keypad")
        #expect(type([42, 30, 28], at: 90) == ["A"], "shift is no digit")
        #expect(type([28], at: 100) == [])
        #expect(type([2, 44, 3, 28], at: 200) == [], "Z is in no UID")
        #expect(type(Array(repeating: 2, count: 30) + [28], at: 300) == [])
        #expect(type([2, 3], at: 1_000) == [])
        #expect(type([4, 5, 28], at: 5_000) == ["34"], "half a token that stood still is none")
    }

    @Test func `reads a FIFO`() async {
        let folder = TemporaryFolder()
        let path = folder.file("reader")
        mkfifo(path, 0o600)
        let reader = LineTokenReader(path: path)
        let writer = open(path, O_RDWR | O_CLOEXEC)
        defer { close(writer) }
        let bytes = Array("04a2b3c4\n".utf8)
        _ = write(writer, bytes, bytes.count)
        var tokens = reader.tokens.makeAsyncIterator()
        #expect(await tokens.next() == "04A2B3C4")
    }
}
