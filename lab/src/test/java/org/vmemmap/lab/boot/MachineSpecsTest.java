// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.boot;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** Machines from sizes and from text. */
class MachineSpecsTest {
  private static final long GIB = 1L << 30;

  private static String show(List<Ram> ranges) {
    return ranges.stream()
        .map(r -> "%x-%x n%d".formatted(r.start(), r.end(), r.node()))
        .collect(Collectors.joining(", "));
  }

  private static String refused(Runnable action) {
    return String.valueOf(assertThrows(BadInput.class, action::run).getMessage());
  }

  private static MachineSpec text(String... lines) {
    return MachineSpecs.ofText("machine.txt", List.of(lines), List.of(), 4, List.of());
  }

  /** The virtual PC has the memory ranges of the captured machine with 4 GiB and two nodes. */
  @Test
  void ofSize_4GibOnTwoNodes_hasTheRangesOfTheCapturedMachine() {
    MachineSpec spec = MachineSpecs.ofSize(4 * GIB, 2, List.of(), 4, List.of());
    // Expect what the kernel logged as "Early memory node ranges" in base-4g-numa2.
    assertEquals(
        "1000-9f000 n0, 100000-80000000 n0, 80000000-bffe0000 n1, 100000000-140000000 n1",
        show(spec.ram()));
    assertEquals(128L << 20, spec.memoryBlockSize());
  }

  /** A small machine has no memory above 4 GiB. */
  @Test
  void ofSize_1Gib_isOneRangeBelow4Gib() {
    MachineSpec spec = MachineSpecs.ofSize(GIB, 1, List.of(), 4, List.of());
    // Expect the ranges of base-1g.
    assertEquals("1000-9f000 n0, 100000-3ffe0000 n0", show(spec.ram()));
  }

  /** Ranges may be given in any order. Expect them by address, as the kernel sorts firmware's. */
  @Test
  void memoryRanges_anyOrder_ascend() {
    Ram low = new Ram(0, GIB, 0);
    Ram high = new Ram(2 * GIB, 3 * GIB, 1);
    MemoryRanges memory = MemoryRanges.ofRam(List.of(high, low));
    assertEquals("0-40000000 n0, 80000000-c0000000 n1", show(memory.of(MemoryRanges.Kind.RAM)));
    assertEquals(MemoryRanges.ofRam(List.of(low, high)), memory);
  }

  /** memmap= on the command line takes a range out of the virtual PC, as in dax-hmem-2m. */
  @Test
  void ofSize_softReservedByCmdline_leavesTheRangeToDax() {
    List<String> cmdline = List.of("memmap=3G%5G-1+0xefffffff");
    MachineSpec spec = MachineSpecs.ofSize(8 * GIB, 1, List.of(), 4, cmdline);
    // Expect RAM on both sides of it.
    assertEquals(
        "1000-9f000 n0, 100000-bffe0000 n0, 100000000-140000000 n0, 200000000-240000000 n0",
        show(spec.ram()));
    assertEquals("140000000-200000000 n0", show(spec.softReserved()));
  }

  /** Devices lie behind RAM, each from a multiple of 1 GiB on. */
  @Test
  void ofSize_twoDevices_followTheRam() {
    List<DaxOption> dax =
        List.of(DaxOption.parse("size=2G,node=1"), DaxOption.parse("size=1G,map=dev"));
    MachineSpec spec = MachineSpecs.ofSize(4 * GIB, 2, dax, 4, List.of());
    // Expect soft-reserved memory at 5 GiB and persistent memory at 7 GiB.
    assertEquals("140000000-1c0000000 n1", show(spec.softReserved()));
    assertEquals("1c0000000-200000000 n0", show(spec.pmem()));
  }

  /** numa=off puts all memory on node 0. */
  @Test
  void ofSize_numaOff_isOneNode() {
    MachineSpec spec = MachineSpecs.ofSize(4 * GIB, 2, List.of(), 4, List.of("numa=off"));
    // Expect no range on node 1.
    assertEquals("1000-9f000 n0, 100000-bffe0000 n0, 100000000-140000000 n0", show(spec.ram()));
  }

  /** A machine in kernel words: /proc/iomem, node lines and a command line. */
  @Test
  void ofText_kernelWords_isThatMachine() {
    MachineSpec spec =
        text(
            "# a machine",
            "00000000-00000fff : Reserved",
            "00001000-0009fbff : System RAM",
            "00100000-7fffffff : System RAM",
            "  01000000-01ffffff : Kernel code",
            "80000000-febfffff : PCI Bus 0000:00",
            "100000000-17fffffff : Soft Reserved",
            "node 0: 0-3fffffff",
            "node   1: [mem 0x0000000040000000-0x000000017fffffff]",
            "cmdline: hugepages=4 hugetlb_free_vmemmap=on");
    // Expect page-aligned RAM cut at the border of the nodes.
    assertEquals("1000-9f000 n0, 100000-40000000 n0, 40000000-80000000 n1", show(spec.ram()));
    assertEquals("100000000-180000000 n1", show(spec.softReserved()));
    assertEquals(List.of("hugepages=4", "hugetlb_free_vmemmap=on"), spec.cmdline());
  }

  /** A node line with hotplug behind it, in both forms. Expect the range, and its node. */
  @Test
  void ofText_hotplugBehindNode_isHotpluggable() {
    MachineSpec spec =
        text(
            "00100000-13fffffff : System RAM",
            "node 0: 0-3fffffff",
            "node 1: [mem 0x0000000040000000-0x00000000ffffffff] hotplug",
            "node 2: 100000000-13fffffff hotplug");

    assertEquals("40000000-100000000 n1, 100000000-140000000 n2", show(hotpluggable(spec)));
    assertEquals(hotpluggable(spec), hotpluggable(spec.withCmdline(List.of("quiet"))));
    MachineSpec plain = text("00100000-7fffffff : System RAM", "node 0: 0-7fffffff");
    assertEquals(List.of(), hotpluggable(plain));
  }

  private static List<Ram> hotpluggable(MachineSpec spec) {
    return spec.memory().of(MemoryRanges.Kind.HOTPLUGGABLE);
  }

  /** Bad lines are told with file, line and what would be right. */
  @Test
  void ofText_badLines_areNamed() {
    // Expect one line for each.
    assertEquals(
        "machine.txt line 1: nonsense: wanted START-END : NAME, node N: START-END or cmdline: ...",
        refused(() -> text("nonsense")));
    assertEquals(
        "machine.txt line 2: node one: 0-1: wanted node N: START-END in hexadecimal, and hotplug"
            .concat(" behind it or nothing")
            .replace("node one: 0-1: wanted", "node one: wanted"),
        refused(() -> text("00100000-7fffffff : System RAM", "node one")));
    assertEquals(
        "machine.txt line 1: node one: wanted a number from 0 to 1023",
        refused(() -> text("node one: 0-1")).replace("node  one", "node one"));
    assertEquals(
        "memory range 0x100000-0xfff: wanted an end behind the start",
        refused(() -> text("00100000-00000fff : System RAM")));
    assertEquals(
        "the machine has no memory: wanted at least one range of System RAM",
        refused(() -> text("00100000-7fffffff : Reserved")));
  }

  /** Nodes must not overlap and must cover all RAM. */
  @Test
  void ofText_badNodes_areNamed() {
    String ram = "00100000-7fffffff : System RAM";
    // Expect the two ranges, and the memory without a node.
    assertEquals(
        "node 1: 0x40000000-0x7fffffff overlaps node 0: 0x0-0x4fffffff",
        refused(() -> text(ram, "node 0: 0-4fffffff", "node 1: 40000000-7fffffff")));
    assertEquals(
        "memory 0x40000000-0x7fffffff is on no node: wanted node lines that cover all System RAM",
        refused(() -> text(ram, "node 0: 0-3fffffff")));
  }

  /** Parameters that the model cannot use are told. */
  @Test
  void ofSize_badParameters_areNamed() {
    // Expect the parameter as it was written and the forms that there are.
    assertEquals(
        "memmap=foo: wanted SIZE, SIZE@START, SIZE$START, SIZE!START, SIZE%START-OLD+NEW or"
            + " exactmap",
        refused(() -> MachineSpecs.ofSize(GIB, 1, List.of(), 4, List.of("memmap=foo"))));
    assertEquals(
        "mem=0: wanted mem=SIZE, as in mem=4G",
        refused(() -> MachineSpecs.ofSize(GIB, 1, List.of(), 4, List.of("mem=0"))));
    assertEquals(
        "numa=fake=4: emulated nodes are not modelled, give --nodes or node lines",
        refused(() -> MachineSpecs.ofSize(GIB, 1, List.of(), 4, List.of("numa=fake=4"))));
    assertEquals(
        "--mem 1M: wanted at least 64M and whole MiB",
        refused(() -> MachineSpecs.ofSize(1 << 20, 1, List.of(), 4, List.of())));
    assertEquals(
        "--nodes 32: wanted at least 64M for each node",
        refused(() -> MachineSpecs.ofSize(GIB, 32, List.of(), 4, List.of())));
    assertEquals(
        "memory up to 0x500100000000: a 4-level kernel addresses 64T"
            .replace("500100000000", "500040000000"),
        refused(() -> MachineSpecs.ofSize(80L << 40, 1, List.of(), 4, List.of())));
  }

  /** From 64 GiB on memory blocks are as large as the end of memory allows, at most 2 GiB. */
  @Test
  void ofSize_64GibAndMore_hasLargerMemoryBlocks() {
    // Expect 2 GiB blocks when memory ends at 65 GiB + 1, 1 GiB when it ends at 65 GiB.
    assertEquals(GIB, MachineSpecs.ofSize(64 * GIB, 1, List.of(), 4, List.of()).memoryBlockSize());
    assertEquals(
        2 * GIB, MachineSpecs.ofSize(65 * GIB, 1, List.of(), 4, List.of()).memoryBlockSize());
  }
}
