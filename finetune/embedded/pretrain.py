"""draft"""
import argparse, time, os, math, json
from pathlib import Path
import numpy as np, torch
from transformers import BertConfig, BertForPreTraining, BertTokenizer
from finetune.embedded.corpus import draw_texts
from finetune.embedded.dice import Dice
from finetune.embedded.lexicon import VOCABULARY
SPECIAL=("[PAD]","[UNK]","[CLS]","[SEP]","[MASK]")
V={w:i for i,w in enumerate((*SPECIAL,*VOCABULARY))}

NEAR=int(os.environ.get('NEAR',4))
def batch(pairs, dice):
    """pairs: list[(ids_a, ids_b, is_random)]"""
    n=max(len(a)+len(b)+3 for a,b,_ in pairs)
    ids=np.zeros((len(pairs),n),np.int64); seg=np.zeros_like(ids); lab=np.full_like(ids,-100)
    for r,(a,b,_) in enumerate(pairs):
        row=[2,*a,3,*b,3]; ids[r,:len(row)]=row; seg[r,len(a)+2:len(row)]=1
        for c,t in enumerate(row):
            if t>4 and dice.chance(15,100):
                lab[r,c]=t; k=dice.below(10)
                if k<8: ids[r,c]=4
                elif k==8: ids[r,c]=5+dice.below(len(V)-5)
    return dict(input_ids=torch.from_numpy(ids),token_type_ids=torch.from_numpy(seg),attention_mask=(torch.from_numpy(ids)!=0).long(),
        labels=torch.from_numpy(lab),next_sentence_label=torch.tensor([int(x) for _,_,x in pairs]))

def main():
    p=argparse.ArgumentParser(); p.add_argument("--output",type=Path); p.add_argument("--steps",type=int,default=3000)
    p.add_argument("--hidden",type=int,default=64);p.add_argument("--layers",type=int,default=2);p.add_argument("--heads",type=int,default=4)
    p.add_argument("--lr",type=float,default=3e-3);p.add_argument("--batch",type=int,default=64); p.add_argument("--corpus",type=int,default=40000)
    p.add_argument("--ff",type=int,default=128);p.add_argument("--init",type=float,default=.02)
    a=p.parse_args(); torch.set_num_threads(1)
    cfg=BertConfig(vocab_size=len(V),hidden_size=a.hidden,num_hidden_layers=a.layers,num_attention_heads=a.heads,intermediate_size=a.ff,max_position_embeddings=128,hidden_dropout_prob=0.,attention_probs_dropout_prob=0.,initializer_range=a.init)
    torch.manual_seed(0)
    m=BertForPreTraining(cfg)
    print(sum(x.numel() for x in m.parameters()))
    t0=time.time()
    it=draw_texts(Dice("corpus"))
    enc=lambda s:[V[w] for w in s.split()]
    texts=[tuple(map(enc,x)) for _ in range(a.corpus//4) for x in next(it)]
    h=draw_texts(Dice("held"),held_out=True); held=[tuple(map(enc,x)) for _ in range(250) for x in next(h)]
    print("corpus",time.time()-t0)
    dice=Dice("pretrain")
    opt=torch.optim.AdamW(m.parameters(),lr=a.lr,betas=(.9,.98),weight_decay=.01)
    sch=torch.optim.lr_scheduler.LambdaLR(opt,lambda s:min(s/(.1*a.steps),(a.steps-s)/(.9*a.steps)))
    def pairs(src,idx,dice):
        out=[]
        for i in idx:
            x,y=src[i]; rnd=dice.chance(1,2)
            if rnd: y=src[i//4*4+(i+1+dice.below(3))%4][1] if dice.chance(NEAR,4) else src[dice.below(len(src))][1]
            out.append((x,y,rnd))
        return out
    hb=batch(pairs(held,range(1000),Dice("hm")),Dice("hmm"))
    order=[]
    def lossf(b):
        o=m.bert(b["input_ids"],attention_mask=b["attention_mask"],token_type_ids=b["token_type_ids"])
        ok=b["labels"]>=0
        F=torch.nn.functional.cross_entropy
        return F(m.cls.predictions(o.last_hidden_state[ok]),b["labels"][ok])+F(m.cls.seq_relationship(o.pooler_output),b["next_sentence_label"])
    def chunked():
        while True:
            order=dice.permutation(a.corpus)
            for k in range(0,len(order)-16*a.batch+1,16*a.batch):
                c=sorted(order[k:k+16*a.batch],key=lambda i:len(texts[i][0])+len(texts[i][1]))
                bs=[c[j:j+a.batch] for j in range(0,len(c),a.batch)]
                for j in dice.permutation(len(bs)): yield bs[j]
    bi=chunked()
    for s in range(a.steps):
        idx=next(bi)
        b=batch(pairs(texts,idx,dice),dice)
        loss=lossf(b); loss.backward(); torch.nn.utils.clip_grad_norm_(m.parameters(),1.); opt.step(); sch.step(); opt.zero_grad()
        if s%250==249 or s==a.steps-1:
            with torch.no_grad():
                o=m(**hb); ok=hb["labels"]>=0
                acc=(o.prediction_logits.argmax(-1)==hb["labels"])[ok].float().mean().item()
                ml=torch.nn.functional.cross_entropy(o.prediction_logits[ok],hb["labels"][ok]).item()
                ns=(o.seq_relationship_logits.argmax(-1)==hb["next_sentence_label"]).float().mean().item()
            print(f"{s+1} {loss.item():.3f} held mlm acc {acc:.3f} loss {ml:.3f} nsp {ns:.3f} {time.time()-t0:.0f}s cpu {time.process_time():.0f}",flush=True)
    m.config.hidden_dropout_prob=.1; m.config.attention_probs_dropout_prob=.1
    m.save_pretrained(a.output); BertTokenizer(vocab=V).save_pretrained(a.output)
if __name__=="__main__": main()
