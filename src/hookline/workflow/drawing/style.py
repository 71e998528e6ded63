"""How a drawing looks on light paper, and where its reader prefers dark."""

STYLE = """
.workflow { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif }
.workflow .paper { fill: #ffffff }
.workflow text { font-size: 14px; text-anchor: middle; fill: #1f2328 }
.workflow rect { fill: #f6f8fa; stroke: #8c959f; stroke-width: 1.2 }
.workflow .paper, .workflow .start { stroke: none }
.workflow .inner { fill: none }
.workflow .line { fill: none; stroke: #8c959f; stroke-width: 1.2 }
.workflow .head, .workflow .start { fill: #8c959f }
.workflow .way text { font-size: 11.5px; fill: #59636e }
.workflow .jump .line, .workflow .jump-only .outer, .workflow .gone .outer { stroke-dasharray: 5 4 }
.workflow .gone rect { fill: none }
.workflow .visited rect { stroke: #0969da; stroke-width: 2 }
.workflow .visited .outer { fill: #ddf4ff }
.workflow .passed .line { stroke: #0969da; stroke-width: 2.4 }
.workflow .passed .head { fill: #0969da }
.workflow .passed text { fill: #0550ae }
.workflow .current .outer { fill: #0969da; stroke: #0969da }
.workflow .current .inner { stroke: #ffffff }
.workflow .current text { fill: #ffffff; font-weight: 600 }
@media (prefers-color-scheme: dark) {
.workflow .paper { fill: #0d1117 }
.workflow text { fill: #e6edf3 }
.workflow rect { fill: #161b22; stroke: #6e7681 }
.workflow .line { stroke: #6e7681 }
.workflow .head, .workflow .start { fill: #6e7681 }
.workflow .way text { fill: #9198a1 }
.workflow .visited rect { stroke: #4493f8 }
.workflow .visited .outer { fill: #12233d }
.workflow .passed .line { stroke: #4493f8 }
.workflow .passed .head { fill: #4493f8 }
.workflow .passed text { fill: #79c0ff }
.workflow .current .outer { fill: #1f6feb; stroke: #1f6feb }
}
"""
