// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What cannot be used is told in one line, with exit code 2. */
class BadInputTest {
  private static void assertRefused(String message, String... args) {
    Run run = Run.of(args);
    assertEquals("vmemmap: " + message + System.lineSeparator(), run.err());
    assertEquals(Main.BAD_INPUT, run.code());
    assertEquals("", run.out());
  }

  /** Every option of boot that cannot be used, with the words that the user reads. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "--mem 8X | --mem 8X: not a size, wanted a number with K, M, G or T, as in 8G",
        "--mem 1M | --mem 1M: wanted at least 64M and whole MiB",
        "--nodes 0 | --nodes 0: wanted a number from 1 to 1024",
        "--nodes two | --nodes two: wanted a number from 1 to 1024",
        "--levels 3 | --levels 3: wanted a number from 4 to 5",
        "--arch mips | --arch mips: wanted x86-64, arm64 or powerpc",
        "--arch arm64 --page-size 8K | --page-size 8K: arm64 has pages of 4K, 16K and 64K",
        "--arch arm64 --page-size ten | --page-size ten: not a size, wanted a number with K, M, G or"
            + " T, as in 8G",
        "--arch arm64 --va-bits 44 | --va-bits 44: arm64 with pages of 4K has 39, 48 or 52",
        "--arch arm64 --levels 4 | --levels 4: goes with --arch x86-64, not arm64",
        "--arch powerpc --mmu slb | --mmu slb: wanted radix or hash",
        "--arch powerpc --page-size 16K | --page-size 16K: powerpc has pages of 4K and 64K",
        "--arch powerpc --dax size=1G,kind=hmem | --dax kind=hmem: powerpc has no soft-reserved"
            + " memory, wanted kind=pmem",
        "--mmu hash | --mmu hash: goes with --arch powerpc, not x86-64",
        "--page-size 64K | --page-size 64K: x86-64 has pages of 4K, others go with --arch",
        "--arch all --json | --arch all --json: the comparison is text, leave out --json",
        "--arch all --page-size 64K | --arch all: only --mem, --nodes, --cmdline and --at go with it",
        "--foo | Unknown option: '--foo' (see vmemmap boot --help)",
        "--mem | Missing required parameter for option '--mem' (SIZE) (see vmemmap boot --help)",
        "--do ls | --do \"ls\": wanted 'echo VALUE > PATH' or 'cat PATH'",
        "--dax align=8K,size=1G | --dax align=8K: wanted 4K, 2M or 1G",
        "--dax size=1G,node=7 | --dax node=7: the machine has nodes 0 to 1",
        "--cmdline mem=0 | mem=0: wanted mem=SIZE, as in mem=4G",
        "--machine /no/such | --machine /no/such: cannot be read, wanted a text or a case file",
        "--mem 100T | memory up to 0x6400c0000000: a 4-level kernel addresses 64T",
        "--host / --json | --host --json: the comparison with a host is text, leave out --json",
        "--host / --mem 8G | --host /: the host is the machine, only --cmdline and --levels go with"
            + " it",
        "--host /no/such | /no/such/proc/iomem cannot be read: wanted a Linux host, or a folder"
            + " made by tools/collect-facts.sh",
      })
  void boot_badOption_isNamedInOneLine(String options, String message) {
    List<String> args = new ArrayList<>(List.of("boot"));
    args.addAll(List.of(options.split(" ")));
    // Expect the message and nothing on standard output.
    assertRefused(message, args.toArray(String[]::new));
  }

  /** A file that the machine does not have is told when it is written to or read. */
  @Test
  void boot_actionOnAnUnknownFile_isNamedInOneLine() {
    // Expect the path.
    assertRefused(
        "--do /etc/passwd: no such file on this machine, wanted one of those that"
            + " 'vmemmap boot --help' lists",
        "boot",
        "--mem",
        "128M",
        "--nodes",
        "1",
        "--dax",
        "size=2M",
        "--do",
        "cat /etc/passwd");
    assertRefused(
        "--do /proc/nothing: no such file on this machine, wanted one of those that"
            + " 'vmemmap boot --help' lists",
        "boot",
        "--mem",
        "128M",
        "--nodes",
        "1",
        "--dax",
        "size=2M",
        "--do",
        "echo 1 > /proc/nothing");
  }

  /** Commands and the arguments of dump and replay. */
  @Test
  void run_badCommand_isNamedInOneLine() {
    String wanted = "wanted pagetable, page PFN, sections, zones, vmstat or kpageflags";
    // Expect one line for each.
    assertRefused("fly: no such command, wanted boot, replay, series, dump or check", "fly");
    assertRefused("dump: nothing to show, " + wanted, "dump");
    assertRefused("dump zoo: " + wanted, "dump", "zoo");
    assertRefused("dump zones 7: " + wanted, "dump", "zones", "7");
    assertRefused("dump page x: wanted a page frame number, as in 0x100000", "dump", "page", "x");
    assertRefused(
        "replay: no case file, wanted at least one, as in cases/x86-64/base-4g.json", "replay");
  }

  /** A pfn without a struct page is told after the machine has booted. */
  @Test
  void dump_pageWithoutMemmap_isNamedInOneLine() {
    // Expect the pfn and where to look for others.
    assertRefused(
        "dump page 0x9999999: no struct page there, wanted a pfn in a section that dump sections"
            + " lists",
        "dump",
        "page",
        "0x9999999",
        "--mem",
        "128M",
        "--nodes",
        "1",
        "--dax",
        "size=2M");
  }

  /** A memory map that the user has emptied is a panic: the machine's fault, not the input's. */
  @Test
  void boot_emptyMemoryMap_isTheKernelsPanic() {
    Run run = Run.of("boot", "--cmdline", "memmap=exactmap");
    // Expect the panic in one line and exit code 1.
    assertEquals(
        "vmemmap: Kernel panic - not syncing: Invalid user supplied memory map"
            + System.lineSeparator(),
        run.err());
    assertEquals(Main.FAILED, run.code());
  }

  /** Without a command the usage is printed, and the exit code says that something is missing. */
  @Test
  void run_noCommand_printsTheUsage() {
    // Expect the same text with and without --help, and different exit codes.
    assertEquals(Main.BAD_INPUT, Run.of().code());
    assertEquals(Main.OK, Run.of("--help").code());
    assertEquals(Run.of().out(), Run.of("--help").out());
  }

  /** hugetlb_cma without a value, which the kernel follows as a pointer. Expect its oops, code 1. */
  @Test
  void boot_hugetlbCmaWithoutValue_isAKernelThatCrashes() {
    Run run = Run.of("boot", "--mem", "128M", "--nodes", "1", "--cmdline", "hugetlb_cma");
    assertEquals(
        "vmemmap: Kernel panic - not syncing: BUG: kernel NULL pointer dereference, address:"
            + " 0000000000000000 in cmdline_parse_hugetlb_cma: hugetlb_cma without ="
            + System.lineSeparator(),
        run.err());
    assertEquals(Main.FAILED, run.code());
  }
}
