// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.vmemmap.types.Errno;

/** The command line: what is taken, and what the kernel says to what it does not take. */
final class HugetlbParamsTest {
  private PoolMachine pool;
  private Hstates hstates;
  private HugetlbParams params;

  @BeforeEach
  void makeMachine() {
    pool = PoolMachine.small();
    useSizes(PoolMachine.sizes());
    pool.mm.nodes().nodeData(0);
    pool.mm.nodes().nodeData(1);
  }

  private void useSizes(HugetlbArch arch) {
    HugetlbFolios folios = new HugetlbFolios(pool.mm);
    hstates = new Hstates(pool.mm, folios, 2);
    HugetlbVmemmap vmemmap =
        new HugetlbVmemmap(
            pool.mm, pool.pageAlloc, pool.sparseVmemmap, pool.sparse, hstates, folios);
    params =
        new HugetlbParams(
            pool.mm, arch, HugetlbCma.NONE, hstates, new HugetlbInternal(pool.mm, arch), vmemmap);
  }

  private void parse(String... parameters) {
    for (String parameter : parameters) {
      String[] parts = parameter.split("=", 2);
      assertEquals(0, params.earlyParam(parts[0], parts[1]));
    }
    params.hugetlbParseParams();
  }

  private Hstate hstate(long size) {
    Hstate h = hstates.sizeToHstate(size);
    if (h == null) {
      throw new AssertionError("no hstate of size " + size);
    }
    return h;
  }

  /** A pair for each size. Expect each pool to have its wish. */
  @Test
  void parse_pairsOfSizeAndNumber_goToTheirSizes() {
    parse("hugepagesz=1G", "hugepages=2", "hugepagesz=2M", "hugepages=65");
    assertEquals(2, hstate(PoolMachine.GIB).maxHugePages);
    assertEquals(65, hstate(PoolMachine.SIZE_2M).maxHugePages);
    assertEquals(List.of(), pool.log());
  }

  /** Nothing is read before the nodes and sizes are known. Expect no size after the parameters. */
  @Test
  void earlyParam_beforeParsing_onlyCollects() {
    params.earlyParam("hugepagesz", "2M");
    assertEquals(0, hstates.hugetlbMaxHstate());
  }

  /** A number before any size. Expect it to wait for the default size. */
  @Test
  void parse_numberBeforeSize_isForTheDefaultSize() {
    parse("hugepages=7");
    assertEquals(7, params.defaultHstateMaxHugePages);
  }

  /** A default size after the number, here a gigantic one. Expect the number to be its. */
  @Test
  void parse_defaultSizeAfterNumber_takesTheNumber() {
    parse("hugepages=3", "default_hugepagesz=1G");
    assertEquals(3, hstate(PoolMachine.GIB).maxHugePages);
    assertEquals(0, params.defaultHstateMaxHugePages);
    assertEquals(hstate(PoolMachine.GIB), hstates.defaultHstate());
  }

  /** Numbers for nodes 0 and 1. Expect each node's wish and their sum. */
  @Test
  void parse_nodeFormat_goesToTheNodes() {
    parse("hugepagesz=2M", "hugepages=0:2,1:5");
    Hstate h = hstate(PoolMachine.SIZE_2M);
    assertEquals(2, h.maxHugePagesNode[0]);
    assertEquals(5, h.maxHugePagesNode[1]);
    assertEquals(7, h.maxHugePages);
  }

  /** Node format before the size. Expect the default size to get the nodes' wishes. */
  @Test
  void parse_nodeFormatBeforeDefaultSize_isTakenOver() {
    parse("hugepages=1:4", "default_hugepagesz=2M");
    assertEquals(4, hstate(PoolMachine.SIZE_2M).maxHugePagesNode[1]);
    assertEquals(4, hstate(PoolMachine.SIZE_2M).maxHugePages);
  }

  /** Node 9 does not exist. Expect the message, and no wish at all, not even for node 0. */
  @Test
  void parse_unknownNode_dropsAllWishes() {
    parse("hugepagesz=2M", "hugepages=0:2,9:1");
    assertEquals(List.of("HugeTLB: Invalid hugepages parameter 9:1"), pool.log());
    assertEquals(0, hstate(PoolMachine.SIZE_2M).maxHugePages);
    assertEquals(0, hstate(PoolMachine.SIZE_2M).maxHugePagesNode[0]);
  }

  /** No number, before any size. Expect the message and no wish for the default size. */
  @Test
  void parse_noNumber_isInvalid() {
    parse("hugepages=many");
    assertEquals(List.of("HugeTLB: Invalid hugepages parameter many"), pool.log());
    assertEquals(0, params.defaultHstateMaxHugePages);
  }

  /** A plain number among node numbers. Expect the message from the bad part on. */
  @Test
  void parse_plainNumberAfterNode_isInvalid() {
    parse("hugepagesz=2M", "hugepages=0:2,5");
    assertEquals(List.of("HugeTLB: Invalid hugepages parameter 5"), pool.log());
  }

  /** A node without a number. Expect the message with the empty rest. */
  @Test
  void parse_nodeWithoutNumber_isInvalid() {
    parse("hugepagesz=2M", "hugepages=0:");
    assertEquals(List.of("HugeTLB: Invalid hugepages parameter "), pool.log());
  }

  /** A size that the architecture does not have. Expect it and its number to be refused. */
  @Test
  void parse_unsupportedSize_ignoresTheNumberToo() {
    parse("hugepagesz=3M", "hugepages=4");
    assertEquals(
        List.of(
            "HugeTLB: unsupported hugepagesz=3M",
            "HugeTLB: hugepages=4 does not follow a valid hugepagesz, ignoring"),
        pool.log());
    assertEquals(0, hstates.hugetlbMaxHstate());
  }

  /** The same size twice. Expect the second to be refused, and the number behind it. */
  @Test
  void parse_sizeTwice_isRefused() {
    parse("hugepagesz=2M", "hugepages=1", "hugepagesz=2M", "hugepages=9");
    assertEquals(
        List.of(
            "HugeTLB: hugepagesz=2M specified twice, ignoring",
            "HugeTLB: hugepages=9 does not follow a valid hugepagesz, ignoring"),
        pool.log());
    assertEquals(1, hstate(PoolMachine.SIZE_2M).maxHugePages);
  }

  /** hugepagesz= of the default size that has no number yet. Expect it to be allowed. */
  @Test
  void parse_defaultSizeNamedAgain_isAllowedOnce() {
    parse("default_hugepagesz=2M", "hugepagesz=2M", "hugepages=6");
    assertEquals(List.of(), pool.log());
    assertEquals(6, hstate(PoolMachine.SIZE_2M).maxHugePages);
  }

  /** Two numbers for one size. Expect the first to stand. */
  @Test
  void parse_numberTwice_keepsTheFirst() {
    parse("hugepagesz=2M", "hugepages=1", "hugepages=2");
    assertEquals(
        List.of(
            "HugeTLB: hugepages= specified twice without interleaving hugepagesz=, ignoring"
                + " hugepages=2"),
        pool.log());
    assertEquals(1, hstate(PoolMachine.SIZE_2M).maxHugePages);
  }

  /** Two default sizes. Expect the first to stand. */
  @Test
  void parse_defaultSizeTwice_keepsTheFirst() {
    parse("default_hugepagesz=2M", "default_hugepagesz=1G");
    assertEquals(
        List.of("HugeTLB: default_hugepagesz previously specified, ignoring 1G"), pool.log());
    assertEquals(PoolMachine.SIZE_2M, hstates.defaultHstate().hugePageSize());
  }

  /** A default size that the architecture does not have. Expect the message. */
  @Test
  void parse_unsupportedDefaultSize_isRefused() {
    parse("default_hugepagesz=64K");
    assertEquals(List.of("HugeTLB: unsupported default_hugepagesz=64K"), pool.log());
  }

  /** A CPU without hugepages. Expect every parameter to be ignored with a message. */
  @Test
  void parse_noHugepages_ignoresAll() {
    useSizes(HugetlbArch.of(0));
    parse("hugepages=1", "hugepagesz=2M", "default_hugepagesz=2M");
    assertEquals(
        List.of(
            "HugeTLB: hugepages unsupported, ignoring hugepages=1 cmdline",
            "HugeTLB: hugepages unsupported, ignoring hugepagesz=2M cmdline",
            "HugeTLB: hugepages unsupported, ignoring default_hugepagesz=2M cmdline"),
        pool.log());
  }

  /** Five parameters fit, one pair for each size and a default. Expect the sixth to be refused. */
  @Test
  void earlyParam_tooMany_isInvalid() {
    for (int i = 0; i < 5; i++) {
      assertEquals(0, params.earlyParam("hugepages", "1"));
    }
    assertEquals(-Errno.EINVAL, params.earlyParam("hugepages", "1"));
  }

  /** A value as long as the whole command line. Expect it to be refused. */
  @Test
  void earlyParam_tooLong_isInvalid() {
    assertEquals(-Errno.EINVAL, params.earlyParam("hugepages", "1".repeat(2048)));
  }

  /** Names without a value. Expect -EINVAL, and null for a name of somebody else. */
  @Test
  void earlyParam_noValueOrNotOurs_isInvalidOrNull() {
    assertEquals(-Errno.EINVAL, params.earlyParam("hugepages", null));
    assertEquals(-Errno.EINVAL, params.earlyParam("hugetlb_free_vmemmap", null));
    assertNull(params.earlyParam("quiet", null));
  }

  /** The number of threads is kept unless it is 0 or no number. Expect the last good one. */
  @Test
  void hugepageAllocThreads_value_isKept() {
    parse("hugepage_alloc_threads=4", "hugepage_alloc_threads=0", "hugepage_alloc_threads=x");
    assertEquals(4, params.hugepageAllocationThreads);
    assertTrue(pool.log().isEmpty());
  }

  // ---------------------------------------------------------------- what a refusal leaves behind

  /** What cannot be read does not use up the size. Expect the next number to count. */
  @ParameterizedTest
  @CsvSource({"many, many", "'0:2,5', 5", "0:, ''", "9:1, 9:1"})
  void parse_numberAfterBadNumber_counts(String bad, String from) {
    parse("hugepagesz=2M", "hugepages=" + bad, "hugepages=3");
    assertEquals(List.of("HugeTLB: Invalid hugepages parameter " + from), pool.log());
    assertEquals(3, hstate(PoolMachine.SIZE_2M).maxHugePages);
  }

  /** The number behind a number for the default size, which is none, and then one for a size. */
  @Test
  void parse_numberTwiceForDefaultSize_keepsTheFirst() {
    parse("hugepages=4", "hugepages=5", "hugepagesz=2M", "hugepages=6");
    assertEquals(1, pool.log().size());
    assertEquals(4, params.defaultHstateMaxHugePages);
    assertEquals(6, hstate(PoolMachine.SIZE_2M).maxHugePages);
  }

  /** The number 0 is a number. Expect the next one to be refused all the same. */
  @Test
  void parse_numberZero_isANumber() {
    parse("hugepagesz=2M", "hugepages=0", "hugepages=7");
    assertEquals(0, hstate(PoolMachine.SIZE_2M).maxHugePages);
    assertEquals(1, pool.log().size());
  }

  /** A bad number after an unsupported size. Expect the size's refusal to be used up by it. */
  @Test
  void parse_twoNumbersAfterUnsupportedSize_onlyTheFirstIsIgnored() {
    parse("hugepagesz=3M", "hugepages=4", "hugepages=5");
    assertEquals(5, params.defaultHstateMaxHugePages);
  }

  /** An unsupported default size. Expect its number to be ignored and a later size to be taken. */
  @Test
  void parse_numberAfterUnsupportedDefaultSize_isIgnored() {
    parse("default_hugepagesz=64K", "hugepages=3", "default_hugepagesz=2M", "hugepages=4");
    assertEquals(4, hstate(PoolMachine.SIZE_2M).maxHugePages);
    assertTrue(params.parsedDefaultHugepagesz);
    assertEquals(
        List.of(
            "HugeTLB: unsupported default_hugepagesz=64K",
            "HugeTLB: hugepages=3 does not follow a valid hugepagesz, ignoring"),
        pool.log());
  }

  /** The number behind a second default size. Expect it to be ignored with the size. */
  @Test
  void parse_numberAfterSecondDefaultSize_isIgnored() {
    parse("default_hugepagesz=2M", "default_hugepagesz=1G", "hugepages=2");
    assertEquals(0, hstate(PoolMachine.SIZE_2M).maxHugePages);
    assertEquals(0, params.defaultHstateMaxHugePages);
    assertEquals(2, pool.log().size());
  }

  /**
   * hugepagesz= of the default size, which has a number. Expect it to be one too many; and of a size
   * that is not the default one, too.
   */
  @Test
  void parse_sizeNamedAgain_isRefusedUnlessDefaultWithoutNumber() {
    parse("default_hugepagesz=2M", "hugepages=6", "hugepagesz=2M", "hugepages=7");
    assertEquals(6, hstate(PoolMachine.SIZE_2M).maxHugePages);
    assertEquals(
        List.of(
            "HugeTLB: hugepagesz=2M specified twice, ignoring",
            "HugeTLB: hugepages=7 does not follow a valid hugepagesz, ignoring"),
        pool.log());
  }

  /** The same for a size that is not the default one and has no number yet. Expect a refusal. */
  @Test
  void parse_otherSizeNamedAgain_isRefused() {
    parse("hugepagesz=1G", "default_hugepagesz=2M", "hugepagesz=1G", "hugepages=7");
    assertEquals(0, hstate(PoolMachine.GIB).maxHugePages);
    assertEquals(2, pool.log().size());
  }

  /** The number behind a default size that is named once more. Expect it to go there. */
  @Test
  void parse_defaultSizeNamedAgain_isTheSizeOfTheNextNumber() {
    parse("default_hugepagesz=2M", "hugepagesz=1G", "hugepages=1", "hugepagesz=2M", "hugepages=6");
    assertEquals(6, hstate(PoolMachine.SIZE_2M).maxHugePages);
    assertEquals(1, hstate(PoolMachine.GIB).maxHugePages);
    assertEquals(List.of(), pool.log());
  }

  // ---------------------------------------------------------------- numbers for nodes

  /** Numbers for nodes before any size, of which one is bad. Expect no wish, of no node. */
  @Test
  void parse_badNodeBeforeSize_dropsTheDefaultWishes() {
    parse("hugepages=0:2,9:1");
    assertEquals(0, params.defaultHstateMaxHugePages);
    assertEquals(0, params.defaultHugepagesInNode[0]);
    assertEquals(List.of("HugeTLB: Invalid hugepages parameter 9:1"), pool.log());
  }

  /** Node numbers at the edge: beyond all that can be, and one that is not online. */
  @Test
  void parse_nodeNumbers_haveToBeOnline() {
    int nodes = params.defaultHugepagesInNode.length;
    parse("hugepages=2:1", "hugepages=" + nodes + ":1", "hugepages=18446744073709551615:1");
    assertEquals(
        List.of(
            "HugeTLB: Invalid hugepages parameter 2:1",
            "HugeTLB: Invalid hugepages parameter " + nodes + ":1",
            "HugeTLB: Invalid hugepages parameter 18446744073709551615:1"),
        pool.log());
  }

  /** The same node twice. Expect the node's last number, but the sum of both. */
  @Test
  void parse_nodeTwice_addsUpButKeepsTheLast() {
    parse("hugepagesz=2M", "hugepages=1:2,1:3");
    assertEquals(3, hstate(PoolMachine.SIZE_2M).maxHugePagesNode[1]);
    assertEquals(5, hstate(PoolMachine.SIZE_2M).maxHugePages);
  }

  /** Something else than a comma behind a node's number, and a comma with nothing behind. */
  @Test
  void parse_endOfNodeFormat_isWhereNoCommaIs() {
    parse("hugepagesz=2M", "hugepages=0:2;1:3", "hugepagesz=1G", "hugepages=0:1,");
    assertEquals(2, hstate(PoolMachine.SIZE_2M).maxHugePages);
    assertEquals(0, hstate(PoolMachine.SIZE_2M).maxHugePagesNode[1]);
    assertEquals(1, hstate(PoolMachine.GIB).maxHugePages);
    assertEquals(List.of(), pool.log());
  }

  /** Letters behind a plain number. Expect the number, as sscanf() reads it. */
  @Test
  void parse_lettersBehindNumber_areIgnored() {
    parse("hugepagesz=2M", "hugepages=12abc");
    assertEquals(12, hstate(PoolMachine.SIZE_2M).maxHugePages);
  }

  /** An architecture that cannot choose the node. Expect a message, no wish, and room for another. */
  @Test
  void parse_nodeFormatNotSupported_saysSo() {
    useSizes(
        new HugetlbArch() {
          @Override
          public long hpageSize() {
            return PoolMachine.SIZE_2M;
          }

          @Override
          public boolean archHugetlbValidSize(long size) {
            return size == PoolMachine.SIZE_2M;
          }

          @Override
          public List<Long> initcallSizes() {
            return List.of();
          }

          @Override
          public boolean archHugetlbMigrationSupported(long size) {
            return true;
          }

          @Override
          public boolean hugetlbNodeAllocSupported() {
            return false;
          }
        });
    parse("hugepagesz=2M", "hugepages=1:2", "hugepages=3");
    assertEquals(
        List.of("HugeTLB: architecture can't support node specific alloc, ignoring!"),
        pool.log());
    assertEquals(0, hstate(PoolMachine.SIZE_2M).maxHugePagesNode[1]);
    assertEquals(3, hstate(PoolMachine.SIZE_2M).maxHugePages);
  }

  /** A wish for the default size with nodes, taken over once. Expect it not to be taken again. */
  @Test
  void parse_defaultSizeWithNodes_keepsOtherNodes() {
    parse("hugepages=0:2,1:4", "default_hugepagesz=2M");
    assertEquals(2, hstate(PoolMachine.SIZE_2M).maxHugePagesNode[0]);
    assertEquals(4, hstate(PoolMachine.SIZE_2M).maxHugePagesNode[1]);
    assertEquals(6, hstate(PoolMachine.SIZE_2M).maxHugePages);
    assertEquals(0, params.defaultHstateMaxHugePages);
  }

  // ---------------------------------------------------------------- room for parameters

  /** Values that fill the room for all of them to the last byte. Expect that, and no byte more. */
  @Test
  void earlyParam_allTheRoom_isTaken() {
    assertEquals(0, params.earlyParam("hugepages", "1".repeat(2000)));
    assertEquals(-Errno.EINVAL, params.earlyParam("hugepages", "1".repeat(47)));
    assertEquals(0, params.earlyParam("hugepages", "1".repeat(46)));
    assertEquals(-Errno.EINVAL, params.earlyParam("hugepages", ""));
  }

  /** hugetlb_free_vmemmap= of a kernel that is built without HVO. Expect nobody to know it. */
  @Test
  void earlyParam_freeVmemmapNotBuiltIn_isNotOurs() {
    pool =
        new PoolMachine(
            PoolMachine.config().withHugetlbOptimizeVmemmap(false),
            PoolMachine.sizes(),
            new PoolMachine.Ram(0, 256 * PoolMachine.MIB, 0));
    useSizes(PoolMachine.sizes());
    assertNull(params.earlyParam("hugetlb_free_vmemmap", "on"));
  }

  /** A number of threads in hex, and none at all. Expect the first to be read and kept. */
  @Test
  void hugepageAllocThreads_hex_isRead() {
    assertEquals(0, params.earlyParam("hugepage_alloc_threads", "0x10"));
    assertEquals(0, params.earlyParam("hugepage_alloc_threads", null));
    assertEquals(16, params.hugepageAllocationThreads);
  }
}
