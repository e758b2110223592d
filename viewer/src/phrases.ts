// The page's own words, in English and Chinese.

export type Language = "en" | "zh";

const WORDS = {
  play: ["Play", "播放"],
  pause: ["Pause", "暂停"],
  slower: ["Slower", "慢放"],
  faster: ["Faster", "快放"],
  next_packet: ["Next packet", "下一个数据包"],
  next_event: ["Next event", "下一个事件"],
  next_loss: ["Next loss", "下一次丢失"],
  start: ["To the start", "回到开头"],
  scenario: ["Scenario", "场景"],
  theme: ["Light or dark", "浅色或深色"],
  time: ["Time", "时间"],
  speed: ["1 s on screen = {0} of the network", "屏幕上 1 秒 = 网络中 {0}"],
  skipped: ["skipped {0} of silence", "跳过 {0} 的空闲时间"],
  no_more: ["nothing of this kind after this moment", "此后不再有这类时刻"],
  moment: ["Packets", "数据包"],
  details: ["Details", "详情"],
  ladder: ["Ladder", "时序图"],
  claims: ["Claims", "结论"],
  events: ["Events", "事件"],
  network: ["Network", "网络"],
  about: ["About", "关于"],
  packet: ["packet", "数据包"],
  what: ["what", "内容"],
  click_hint: [
    "Click a packet, a node or a link of the network, or a row of a table.",
    "点击网络中的数据包、节点或链路，或表格中的一行。",
  ],
  no_packets: ["No packet yet at this moment.", "此刻还没有数据包。"],
  on_the_way: ["Way through the network", "穿过网络的路径"],
  layers: ["Layers and bytes", "各层与字节"],
  no_layers: [
    "The page does not have the bytes of this packet: it keeps those of the first packets of each conversation, of evidence and of losses. The capture has them:",
    "本页没有这个数据包的字节：只保留每个会话的前几个数据包、证据中的数据包和丢失的数据包。抓包文件中有：",
  ],
  seen: ["sent and received", "已发送并收到"],
  arrival_guessed: ["sent (arrival not captured: estimated)", "已发送（到达未被抓取，为估算）"],
  start_guessed: ["received (start not captured: estimated)", "已收到（发送未被抓取，为估算）"],
  lost: ["lost on the link", "在链路上丢失"],
  stops: [
    "did not leave {0} again (a full queue, a filter, or no route)",
    "没有再离开 {0}（队列已满、被过滤或没有路由）",
  ],
  expires: ["did not leave {0} again: its TTL was 1", "没有再离开 {0}：TTL 为 1"],
  conversation: ["Conversation", "会话"],
  packets_of: ["{0} packets in {1}", "{1} 内有 {0} 个数据包"],
  open_ladder: ["Show its ladder", "显示时序图"],
  interface: ["interface", "接口"],
  peer: ["peer", "对端"],
  interfaces: ["Interfaces", "接口"],
  neighbours: ["Neighbours (ARP, NDP)", "邻居（ARP、NDP）"],
  routes: ["Routes", "路由"],
  sockets: ["TCP sockets", "TCP 套接字"],
  reports: ["Reported by daemons", "守护进程的报告"],
  logs: ["Logs", "日志"],
  not_recorded: ["This run did not record more of this node.", "本次运行没有记录这个节点的其他状态。"],
  changed_last: ["changed last", "最近变化"],
  rate: ["Rate (Mbit/s)", "速率（Mbit/s）"],
  totals: ["Packets over this link", "经过此链路的数据包"],
  queue: ["queue", "队列"],
  sent: ["sent", "已发送"],
  dropped: ["dropped", "已丢弃"],
  dropped_there: ["stopped or lost", "中止或丢失"],
  capture_file: ["capture", "抓包"],
  none: ["none", "无"],
  observed: ["Observed", "观察到"],
  expected: ["Expected", "预期"],
  evidence: ["Evidence", "证据"],
  show_evidence: ["Show", "显示"],
  evidence_elsewhere: ["not on this page", "不在本页中"],
  of_scenario: ["scenario {0}", "场景 {0}"],
  frames: ["{0} packets of {1}", "{1} 的 {0} 个数据包"],
  no_claims: ["A capture has no claims.", "抓包没有结论。"],
  event: ["event", "事件"],
  loss: ["loss", "丢失"],
  more_losses: ["… {0} more losses", "……另有 {0} 次丢失"],
  left_out: ["Left out of this page", "本页省略了"],
  nothing_left_out: ["Nothing is left out.", "没有省略任何内容。"],
  keys: ["Keys", "按键"],
  key_list: [
    "space: play or pause · ← →: previous and next packet · E: next event · L: next loss · + −: faster, slower · Home: to the start · Esc: close",
    "空格：播放或暂停 · ← →：上一个、下一个数据包 · E：下一个事件 · L：下一次丢失 · + −：快放、慢放 · Home：回到开头 · Esc：关闭",
  ],
  licences: ["Licences of what this page contains", "本页所含软件的许可证"],
  marks: ["▼ event  ◆ evidence  ▎loss", "▼ 事件  ◆ 证据  ▎丢失"],
  in_flight: ["{0} on the way", "{0} 个在途"],
  in_flight_cut: ["{0} on the way, {1} of them drawn", "{0} 个在途，画出其中 {1} 个"],
  window: ["Congestion window (segments)", "拥塞窗口（报文段）"],
  kind_host: ["host", "主机"],
  kind_router: ["router", "路由器"],
  kind_switch: ["switch", "交换机"],
  link: ["link", "链路"],
  lost_mark: ["lost", "丢失"],
  unseen: ["not captured", "未抓取"],
  other: ["other", "其他"],
  loading: ["Reading the packets …", "正在读取数据包……"],
  run: ["Run {0}, seed {1}, {2} clock", "运行 {0}，种子 {1}，{2} 时钟"],
  clock_virtual: ["virtual", "虚拟"],
  clock_real: ["real", "真实"],
  of_capture: ["Capture {0}", "抓包 {0}"],
  bytes: ["bytes", "字节"],
} as const satisfies Record<string, readonly [string, string]>;

export type Phrase = keyof typeof WORDS;

let language: Language = "en";

export function speak(wanted: Language): void {
  language = wanted;
}

export function spoken(): Language {
  return language;
}

/** A text of the run in the page's language, where it has one. */
export function told(text: string, chinese?: Record<string, string>): string {
  return language === "zh" ? chinese?.[text] ?? text : text;
}

/** A phrase in the page's language, with what goes into its gaps. */
export function say(phrase: Phrase, ...gaps: (string | number)[]): string {
  const text: string = WORDS[phrase][language === "en" ? 0 : 1];
  return text.replace(/\{(\d)\}/g, (_, place: string) => String(gaps[Number(place)] ?? ""));
}
